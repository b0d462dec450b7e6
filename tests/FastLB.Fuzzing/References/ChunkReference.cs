using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using FastLB.Core.Http;

namespace FastLB.Fuzzing.References;

/// <summary>
/// A chunked body of RFC 9112 7.1, line by line. By design narrower than the RFC: no blanks around ';' before an extension's first byte (7.1.1 has BWS for old senders), any bytes of a
/// value in an extension, at most 15 digits, 4096 bytes of extensions and 8192 of trailers, and no bare LF (2.2 allows to take it).
/// </summary>
internal static partial class ChunkReference
{
    /// <param name="End">Where the next message begins, when it is Done.</param>
    internal sealed record Verdict(ParseStatus Status, string Body, int End);

    public static Verdict Read(byte[] bytes)
    {
        var text = Encoding.Latin1.GetString(bytes);
        var body = new StringBuilder();
        var position = 0;
        var extensionBytes = 0;
        while (true)
        {
            var (line, lineEnd) = LineAt(text, position);
            if (!StartOfSizeLine().IsMatch(line) || (extensionBytes += Math.Max(0, line.Length - line.Split(';')[0].Length)) > 4096 || (lineEnd >= 0 && line.Split(';')[0].Length == 0))
            {
                return Of(ParseStatus.Invalid, body);
            }

            if (Ends(text, lineEnd) is var sizeEnds and not ParseStatus.Done)
            {
                return Of(sizeEnds, body);
            }

            position = lineEnd + 2;
            var size = long.Parse(line.Split(';')[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            if (size == 0)
            {
                return Trailers(text, position, body);
            }

            var taken = (int)Math.Min(size, text.Length - position);
            body.Append(text, position, taken);
            position += taken;
            if (position == text.Length)
            {
                return Of(ParseStatus.Partial, body);
            }

            if (text[position] != '\r')
            {
                return Of(ParseStatus.Invalid, body);
            }

            if (Ends(text, position) is var dataEnds and not ParseStatus.Done)
            {
                return Of(dataEnds, body);
            }

            position += 2;
        }
    }

    private static Verdict Trailers(string text, int position, StringBuilder body)
    {
        var start = position;
        while (true)
        {
            var (line, lineEnd) = LineAt(text, position);
            var comeBytes = (lineEnd < 0 ? text.Length : Math.Min(text.Length, lineEnd + 2)) - start;
            if (!StartOfTrailer().IsMatch(line) || (lineEnd >= 0 && line.Length > 0 && !line.Contains(':', StringComparison.Ordinal)) || comeBytes > 8192)
            {
                return Of(ParseStatus.Invalid, body);
            }

            if (Ends(text, lineEnd) is var ends and not ParseStatus.Done)
            {
                return Of(ends, body);
            }

            position = lineEnd + 2;
            if (line.Length == 0)
            {
                return new Verdict(ParseStatus.Done, body.ToString(), position);
            }
        }
    }

    private static Verdict Of(ParseStatus status, StringBuilder body) => new(status, body.ToString(), -1);

    /// <summary>What stands before the next line end of any shape, and where that is; -1: nowhere yet.</summary>
    private static (string Line, int End) LineAt(string text, int position)
    {
        var end = text.IndexOfAny(['\r', '\n'], position);
        return (end < 0 ? text[position..] : text[position..end], end);
    }

    private static ParseStatus Ends(string text, int lineEnd) =>
        lineEnd < 0 ? ParseStatus.Partial
        : text[lineEnd] == '\n' ? ParseStatus.Invalid
        : lineEnd + 1 == text.Length ? ParseStatus.Partial
        : text[lineEnd + 1] == '\n' ? ParseStatus.Done
        : ParseStatus.Invalid;

    [GeneratedRegex(@"\A[0-9A-Fa-f]{0,15}\z|\A[0-9A-Fa-f]{1,15};[\t\x20-\x7e\x80-\xff]*\z")]
    private static partial Regex StartOfSizeLine();

    [GeneratedRegex(@"\A([!#$%&'*+\-.^_`|~0-9A-Za-z]*|[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)\z")]
    private static partial Regex StartOfTrailer();
}
