using System.Buffers;
using System.Text;
using FastLB.Core.Recording;

namespace FastLB.AccessLog;

/// <summary>
/// One JSON object (RFC 8259) to a line; docs/observing.md has the fields. What a request did not come to is left out. Texts of clients are escaped so that every
/// line is one line and valid UTF-8 whatever they sent; a byte that is no UTF-8 becomes U+FFFD.
/// </summary>
internal sealed class JsonLines : LineFormat
{
    private static readonly SearchValues<byte> s_needsEscape = SearchValues.Create([.. Enumerable.Range(0, 256).Select(i => (byte)i).Where(b => b is < 0x20 or (byte)'"' or (byte)'\\' or >= 0x7F)]);

    public override void Append(in RecordView record, long unixNs, ByteLine line)
    {
        var facts = record.Facts;
        var isTcp = (facts.Flags & RecordFlags.Tcp) != 0;
        line.Append("{\"time\":\""u8);
        line.Append(SecondOf(unixNs, out var milliseconds));
        line.Append((byte)'.');
        line.AppendDigits(milliseconds, 3);
        line.Append("Z\",\"id\":\""u8);
        line.AppendHex(facts.Id);
        if (!record.RequestId.IsEmpty)
        {
            AppendText("\",\"requestId\":\""u8, record.RequestId, line);
        }

        line.Append("\",\"client\":\""u8);
        AppendClient(facts.Client, line);
        AppendText("\",\"listener\":\""u8, record.Listener, line);
        line.Append((byte)'"');
        if (facts.Route >= 0)
        {
            line.Append(",\"route\":"u8);
            line.Append(facts.Route + 1);
        }

        if (!record.Method.IsEmpty)
        {
            AppendText(",\"method\":\""u8, record.Method, line);
            AppendText("\",\"target\":\""u8, record.Target, line, (facts.Flags & RecordFlags.TargetCut) != 0);
            line.Append((byte)'"');
        }

        line.Append(",\"protocol\":\""u8);
        line.Append(isTcp ? "tcp"u8 : VersionOf(facts));
        line.Append((byte)'"');
        if (facts.Status > 0)
        {
            line.Append(",\"status\":"u8);
            line.Append(facts.Status);
        }

        line.Append(",\"bytesIn\":"u8);
        line.Append(facts.BytesIn);
        line.Append(",\"bytesOut\":"u8);
        line.Append(facts.BytesOut);
        if (!record.Pool.IsEmpty)
        {
            AppendText(",\"pool\":\""u8, record.Pool, line);
            line.Append((byte)'"');
        }

        if (facts.Slot >= 0)
        {
            AppendText(",\"worker\":\""u8, record.Pool, line);
            line.Append((byte)'/');
            line.Append(facts.Slot);
            line.Append((byte)'"');
        }

        line.Append(",\"retries\":"u8);
        line.Append(facts.Retries);
        AppendPhase(",\"queueMs\":"u8, facts.QueueNs, line);
        AppendPhase(",\"connectMs\":"u8, facts.ConnectNs, line);
        AppendPhase(",\"firstByteMs\":"u8, facts.FirstByteNs, line);
        AppendPhase(",\"totalMs\":"u8, facts.TotalNs, line);
        line.Append(",\"outcome\":\""u8);
        line.Append(NameOf(facts.Outcome));
        line.Append((facts.Flags & RecordFlags.Upgraded) != 0 ? "\",\"upgraded\":true"u8 : "\",\"upgraded\":false"u8);
        if (!record.Referer.IsEmpty)
        {
            AppendText(",\"referer\":\""u8, record.Referer, line, (facts.Flags & RecordFlags.RefererCut) != 0);
            line.Append((byte)'"');
        }

        if (!record.UserAgent.IsEmpty)
        {
            AppendText(",\"userAgent\":\""u8, record.UserAgent, line, (facts.Flags & RecordFlags.UserAgentCut) != 0);
            line.Append((byte)'"');
        }

        line.Append("}\n"u8);
    }

    protected override string TextOf(DateTime second) => Iso(second);

    private static void AppendPhase(ReadOnlySpan<byte> name, long nanoseconds, ByteLine line)
    {
        if (nanoseconds >= 0)
        {
            line.Append(name);
            line.AppendMs(nanoseconds);
        }
    }

    private static void AppendText(ReadOnlySpan<byte> name, ReadOnlySpan<byte> text, ByteLine line, bool isCut = false)
    {
        line.Append(name);
        while (!text.IsEmpty)
        {
            var plain = text.IndexOfAny(s_needsEscape);
            plain = plain < 0 ? text.Length : plain;
            line.Append(text[..plain]);
            text = text[plain..];
            if (!text.IsEmpty)
            {
                text = text[AppendEscaped(text, line)..];
            }
        }

        if (isCut)
        {
            line.Append("…"u8);
        }
    }

    /// <summary>Appends the first character, which is not a plain one, and answers how many bytes it has.</summary>
    private static int AppendEscaped(ReadOnlySpan<byte> text, ByteLine line)
    {
        switch (text[0])
        {
            case (byte)'"' or (byte)'\\':
                line.Append((byte)'\\');
                line.Append(text[0]);
                return 1;
            case < 0x20 or 0x7F:
                line.Append("\\u00"u8);
                line.Append("0123456789abcdef"u8[text[0] >> 4]);
                line.Append("0123456789abcdef"u8[text[0] & 15]);
                return 1;
            default:
                var status = Rune.DecodeFromUtf8(text, out var rune, out var length);

                // C1 controls and the separators that some readers take for line ends are valid UTF-8, and no friends of terminals.
                var shown = status != OperationStatus.Done || Rune.IsControl(rune) || rune.Value is 0x2028 or 0x2029 ? Rune.ReplacementChar : rune;
                line.Advance(shown.EncodeToUtf8(line.Room(4)));
                return length;
        }
    }
}
