using System.Buffers;
using System.Globalization;
using FastLB.Core.Recording;

namespace FastLB.AccessLog;

/// <summary>
/// The combined format of Apache and nginx, which most tools read: client, time, first line, status, bytes, Referer, User-Agent. Times are in UTC; bytes are
/// all that were sent, heads included. As nginx does it, what is not printable ASCII, a quote or a backslash becomes <c>\xHH</c>.
/// </summary>
internal sealed class CombinedLines : LineFormat
{
    private static readonly SearchValues<byte> s_needsEscape = SearchValues.Create([.. Enumerable.Range(0, 256).Select(i => (byte)i).Where(b => b is < 0x20 or (byte)'"' or (byte)'\\' or >= 0x7F)]);

    public override void Append(in RecordView record, long unixNs, ByteLine line)
    {
        var facts = record.Facts;
        AppendClient(facts.Client, line);
        line.Append(" - - ["u8);
        line.Append(SecondOf(unixNs, out _));
        line.Append("] \""u8);
        if (record.Method.IsEmpty)
        {
            line.Append((byte)'-');
        }
        else
        {
            AppendText(record.Method, line);
            line.Append((byte)' ');
            AppendText(record.Target, line);
            line.Append((byte)' ');
            line.Append(VersionOf(facts));
        }

        line.Append("\" "u8);
        if (facts.Status > 0)
        {
            line.Append(facts.Status);
        }
        else
        {
            line.Append((byte)'-');
        }

        line.Append((byte)' ');
        line.Append(facts.BytesOut);
        line.Append(" \""u8);
        AppendOrDash(record.Referer, line);
        line.Append("\" \""u8);
        AppendOrDash(record.UserAgent, line);
        line.Append("\"\n"u8);
    }

    protected override string TextOf(DateTime second) => second.ToString("dd/MMM/yyyy:HH:mm:ss '+0000'", CultureInfo.InvariantCulture);

    private static void AppendOrDash(ReadOnlySpan<byte> text, ByteLine line)
    {
        if (text.IsEmpty)
        {
            line.Append((byte)'-');
        }
        else
        {
            AppendText(text, line);
        }
    }

    private static void AppendText(ReadOnlySpan<byte> text, ByteLine line)
    {
        while (!text.IsEmpty)
        {
            var plain = text.IndexOfAny(s_needsEscape);
            plain = plain < 0 ? text.Length : plain;
            line.Append(text[..plain]);
            text = text[plain..];
            if (!text.IsEmpty)
            {
                line.Append("\\x"u8);
                line.Append("0123456789ABCDEF"u8[text[0] >> 4]);
                line.Append("0123456789ABCDEF"u8[text[0] & 15]);
                text = text[1..];
            }
        }
    }
}
