using System.Globalization;

namespace FastLB.Configuration;

/// <summary>Sizes as people write them: <c>512B</c>, <c>64KB</c>, <c>1MB</c>, <c>2GB</c>, in steps of 1024.</summary>
internal static class ByteSize
{
    /// <summary>Answers bytes from <paramref name="min"/> to <paramref name="max"/>, or a clause that says what is wrong.</summary>
    public static bool TryParse(string text, long min, long max, out long bytes, out string problem)
    {
        bytes = 0;
        problem = $"'{text}' is not a size; write one like 512B, 64KB or 1MB";
        var digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (digits is <= 0 or > 15)
        {
            return false;
        }

        long unit;
        switch (text[digits..])
        {
            case "B": unit = 1; break;
            case "KB": unit = 1024; break;
            case "MB": unit = 1024 * 1024; break;
            case "GB": unit = 1024 * 1024 * 1024; break;
            default: return false;
        }

        var count = long.Parse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture);
        if (count > max / unit || count * unit < min)
        {
            problem = $"'{text}' is out of range; {Text(min)} to {Text(max)} are allowed";
            return false;
        }

        bytes = count * unit;
        problem = "";
        return true;
    }

    /// <summary>The shortest exact text: 65536 is 64KB.</summary>
    public static string Text(long bytes) => bytes switch
    {
        > 0 when bytes % (1024 * 1024 * 1024) == 0 => $"{bytes / (1024 * 1024 * 1024)}GB",
        > 0 when bytes % (1024 * 1024) == 0 => $"{bytes / (1024 * 1024)}MB",
        > 0 when bytes % 1024 == 0 => $"{bytes / 1024}KB",
        _ => $"{bytes}B",
    };
}
