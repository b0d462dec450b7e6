using System.Globalization;
using System.Text;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;

namespace FastLB.AccessLog;

/// <summary>Makes one line of one record. The clock's second is formatted once for all lines that begin in it. One thread owns it.</summary>
internal abstract class LineFormat
{
    private const long NsPerSecond = 1_000_000_000;
    private const long NsPerMs = 1_000_000;

    private static readonly byte[][] s_outcomes = [.. Enum.GetValues<Outcome>().Select(o => Encoding.ASCII.GetBytes(Outcomes.NameOf(o)))];

    private long _second = long.MinValue;
    private byte[] _secondText = [];

    public static LineFormat Of(AccessLogFormat format) => format == AccessLogFormat.Json ? new JsonLines() : new CombinedLines();

    /// <summary>Appends the record's line with its end.</summary>
    /// <param name="unixNs">When the request began, in nanoseconds since 1970.</param>
    public abstract void Append(in RecordView record, long unixNs, ByteLine line);

    /// <summary>How a second is written.</summary>
    protected abstract string TextOf(DateTime second);

    /// <summary>The second in which something was, in the format's own way, and the milliseconds of it.</summary>
    protected ReadOnlySpan<byte> SecondOf(long unixNs, out long milliseconds)
    {
        var second = Math.DivRem(unixNs, NsPerSecond, out var rest);
        milliseconds = rest / NsPerMs;
        if (second != _second)
        {
            _second = second;
            _secondText = Encoding.ASCII.GetBytes(TextOf(DateTimeOffset.FromUnixTimeSeconds(second).UtcDateTime));
        }

        return _secondText;
    }

    protected static ReadOnlySpan<byte> NameOf(Outcome outcome) => s_outcomes[(int)outcome];

    protected static void AppendClient(in ClientAddress client, ByteLine line)
    {
        if (client.IsNone)
        {
            line.Append("unix"u8);
            return;
        }

        client.TryFormat(line.Room(ClientAddress.MaxTextLength), out var written);
        line.Advance(written);
    }

    protected static ReadOnlySpan<byte> VersionOf(in RecordFacts facts) => (facts.Flags & RecordFlags.Http10) != 0 ? "HTTP/1.0"u8 : "HTTP/1.1"u8;

    protected static string Iso(DateTime second) => second.ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture);
}
