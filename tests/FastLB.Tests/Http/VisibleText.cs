using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace FastLB.Tests.Http;

/// <summary>
/// Bytes as text that shows every one of them: \r \n \t \0 \\ and \xHH, and \repeat(N,text) for what is long. Line breaks of
/// the text itself mean nothing.
/// </summary>
internal static partial class VisibleText
{
    internal static byte[] Decode(string text)
    {
        var flat = text.Replace("\r", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal);
        var repeated = Repeat().Replace(flat, match => string.Concat(
            Enumerable.Repeat(match.Groups[2].Value, int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture))));
        var latin1 = Escape().Replace(repeated, match => match.Value[1] switch
        {
            'r' => "\r",
            'n' => "\n",
            't' => "\t",
            '0' => "\0",
            '\\' => "\\",
            'x' => ((char)Convert.ToByte(match.Value[2..], 16)).ToString(),
            _ => throw new FormatException($"'{match.Value}' is no escape; write \\r \\n \\t \\0 \\\\ or \\xHH"),
        });
        return Encoding.Latin1.GetBytes(latin1);
    }

    internal static string Encode(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        foreach (var value in bytes)
        {
            text.Append(value switch
            {
                (byte)'\r' => "\\r",
                (byte)'\n' => "\\n",
                (byte)'\t' => "\\t",
                0 => "\\0",
                (byte)'\\' => "\\\\",
                < 0x20 or >= 0x7F => "\\x" + value.ToString("x2", CultureInfo.InvariantCulture),
                _ => ((char)value).ToString(),
            });
        }

        return text.ToString();
    }

    [GeneratedRegex(@"\\repeat\(([0-9]+),([^)]*)\)")]
    private static partial Regex Repeat();

    [GeneratedRegex(@"\\(x[0-9a-fA-F]{2}|.)")]
    private static partial Regex Escape();
}
