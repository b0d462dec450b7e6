using System.Globalization;

namespace FastLB.Configuration;

/// <summary>Durations as people write them: <c>250ms</c>, <c>10s</c>, <c>5m</c>, <c>1h</c>. A whole number and a unit, nothing else.</summary>
internal static class Duration
{
    /// <summary>No wait of FastLB is longer: 24 h.</summary>
    public const int MaxMs = 24 * 60 * 60 * 1000;

    /// <summary>Answers milliseconds from 1 to <see cref="MaxMs"/>, or a clause that says what is wrong.</summary>
    public static bool TryParse(string text, out int milliseconds, out string problem)
    {
        milliseconds = 0;
        problem = $"'{text}' is not a duration; write one like 250ms, 10s, 5m or 1h";
        var digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (digits is <= 0 or > 15)
        {
            return false;
        }

        long unitMs;
        switch (text[digits..])
        {
            case "ms": unitMs = 1; break;
            case "s": unitMs = 1000; break;
            case "m": unitMs = 60 * 1000; break;
            case "h": unitMs = 60 * 60 * 1000; break;
            default: return false;
        }

        // 15 digits times an hour in milliseconds would not fit, so the bound is checked by division.
        var count = long.Parse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture);
        if (count < 1 || count > MaxMs / unitMs)
        {
            problem = $"'{text}' is out of range; 1ms to 24h are allowed";
            return false;
        }

        milliseconds = (int)(count * unitMs);
        problem = "";
        return true;
    }
}
