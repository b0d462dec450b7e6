using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using FastLB.AccessLog;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;
using FsCheck;
using FsCheck.Fluent;
using Outcome = FastLB.Core.Metrics.Outcome;

namespace FastLB.Tests.Recording;

/// <summary>Lines of the access log, whatever clients send.</summary>
public sealed partial class AccessLogLinesTests
{
    private const long UnixNs = 1_795_285_342_123_456_789;

    private static readonly byte[] s_nastyBytes =
        [0, 7, 9, 10, 13, 27, 32, (byte)'"', (byte)'\'', (byte)'\\', (byte)'{', (byte)'a', 0x7F, 0x80, 0xC2, 0x85, 0xE2, 0x80, 0xA8, 0xF0, 0x9F, 0x98, 0x80, 0xFF];

    [Fact]
    public void A_line_in_json_has_the_documented_fields()
    {
        var line = Line(AccessLogFormat.Json, Sample());
        var json = JsonDocument.Parse(line).RootElement;
        Assert.Equal(
            """{"time":"2026-11-21T18:22:22.123Z","id":"00000000000000ff","client":"192.168.0.1","listener":"127.0.0.1:8000","route":3,"method":"GET","target":"/a?b=c","protocol":"HTTP/1.1","status":200,"bytesIn":80,"bytesOut":160,"pool":"app","worker":"app/1","retries":1,"queueMs":0.000,"connectMs":0.250,"firstByteMs":1.500,"totalMs":2.001,"outcome":"completed","upgraded":false,"referer":"http://x/","userAgent":"wrk \"1\""}""" + "\n",
            line);
        Assert.Equal("wrk \"1\"", json.GetProperty("userAgent").GetString());
    }

    [Fact]
    public void A_line_in_the_combined_format_is_that_of_nginx() => Assert.Equal(
        "192.168.0.1 - - [21/Nov/2026:18:22:22 +0000] \"GET /a?b=c HTTP/1.1\" 200 160 \"http://x/\" \"wrk \\x221\\x22\"\n",
        Line(AccessLogFormat.Combined, Sample()));

    [Fact]
    public void What_a_request_did_not_come_to_is_left_out()
    {
        var record = new RequestRecord();
        record.Clear();
        record.Facts.Status = 400;
        record.Facts.Outcome = Outcome.ClientMalformed;
        Assert.Equal(
            """{"time":"2026-11-21T18:22:22.123Z","id":"0000000000000000","client":"unix","listener":"127.0.0.1:8000","protocol":"HTTP/1.1","status":400,"bytesIn":0,"bytesOut":0,"retries":0,"totalMs":0.000,"outcome":"client-malformed","upgraded":false}""" + "\n",
            Line(AccessLogFormat.Json, record, pool: ""));
        Assert.Equal("unix - - [21/Nov/2026:18:22:22 +0000] \"-\" 400 0 \"-\" \"-\"\n", Line(AccessLogFormat.Combined, record, pool: ""));
    }

    [Fact]
    public void Whatever_a_client_sends_a_line_is_one_line_and_can_be_read()
    {
        var bytes = Gen.OneOf(Gen.Elements(s_nastyBytes), Gen.Choose(0, 255).Select(i => (byte)i)).ArrayOf();
        Prop.ForAll(
            bytes.ToArbitrary(),
            bytes.ToArbitrary(),
            (target, userAgent) =>
            {
                var record = Sample(target, userAgent);
                var json = Line(AccessLogFormat.Json, record);
                Assert.Equal(json.Length - 1, json.IndexOfAny(['\n', '\r', '\u2028', '\u2029', '\u0085']));
                var read = JsonDocument.Parse(json).RootElement;
                Assert.Equal(200, read.GetProperty("status").GetInt32());
                var isPlain = target.All(b => b is >= 32 and < 127);
                Assert.True(!isPlain || read.GetProperty("target").GetString() == Encoding.ASCII.GetString(target));

                var combined = Line(AccessLogFormat.Combined, record);
                Assert.Equal(combined.Length - 1, combined.IndexOf('\n', StringComparison.Ordinal));
                Assert.All(combined[..^1], c => Assert.InRange(c, ' ', '~'));
                Assert.Matches(CombinedPattern(), combined);
            }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Long_texts_are_cut_and_say_so()
    {
        var line = JsonDocument.Parse(Line(AccessLogFormat.Json, Sample(Enumerable.Repeat((byte)'x', 60_000).ToArray(), Enumerable.Repeat((byte)0, 60_000).ToArray()))).RootElement;
        Assert.Equal(new string('x', RequestRecord.MaxTargetBytes) + "…", line.GetProperty("target").GetString());
        Assert.Equal(new string('\0', RequestRecord.MaxUserAgentBytes) + "…", line.GetProperty("userAgent").GetString());
    }

    private static RequestRecord Sample(byte[]? target = null, byte[]? userAgent = null)
    {
        var record = new RequestRecord();
        record.Clear();
        record.KeepHead("GET"u8, target ?? "/a?b=c"u8.ToArray(), "http://x/"u8, userAgent ?? "wrk \"1\""u8.ToArray());
        record.Facts = record.Facts with
        {
            Client = new ClientAddress(0xC0A80001, 40_000),
            Id = 255,
            Route = 2,
            Status = 200,
            Slot = 1,
            Retries = 1,
            BytesIn = 80,
            BytesOut = 160,
            QueueNs = 0,
            ConnectNs = 250_000,
            FirstByteNs = 1_500_000,
            TotalNs = 2_001_999,
        };
        return record;
    }

    private static string Line(AccessLogFormat format, RequestRecord record, string pool = "app")
    {
        var ring = new RecordRing(16 * 1024);
        Assert.True(record.TryWrite(ring, "127.0.0.1:8000"u8, Encoding.UTF8.GetBytes(pool)));
        Assert.True(ring.TryRead(out var bytes));
        var line = new ByteLine(16);
        LineFormat.Of(format).Append(new RecordView(bytes), UnixNs, line);
        return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(line.Written);
    }

    [GeneratedRegex("""^192\.168\.0\.1 - - \[[^\]]*\] "GET ([^"\\]|\\x[0-9A-F]{2})* HTTP/1\.1" 200 160 "([^"\\]|\\x[0-9A-F]{2})*" "([^"\\]|\\x[0-9A-F]{2})*"\n$""")]
    private static partial Regex CombinedPattern();
}
