using System.Net;
using System.Text;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Tests.Forwarding;

/// <summary>Who a request's client is, and what its worker is told, from the head that came.</summary>
public sealed class ForwarderTests
{
    private static readonly NetworkSet s_trusted = new([IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("2001:db8::/32")], unix: true);
    private static readonly ClientAddress s_proxy = new(0x0A000001, 0);
    private static readonly ClientAddress s_stranger = new(0xC0000207, 7);

    [Theory]
    [InlineData("203.0.113.9", "203.0.113.9")]
    [InlineData("6.6.6.6, 203.0.113.9", "203.0.113.9")]
    [InlineData("6.6.6.6, 203.0.113.9, 10.0.0.3", "203.0.113.9")]
    [InlineData("6.6.6.6, 203.0.113.9:4711,10.0.0.3:80 , [2001:db8::7]:1", "203.0.113.9:4711")]
    [InlineData("[2001:db9::1]", "[2001:db9::1]:0")]
    [InlineData("2001:db9::1", "[2001:db9::1]:0")]
    [InlineData("10.0.0.9", "10.0.0.9")]
    [InlineData("10.0.0.9, 10.0.0.8", "10.0.0.9")]
    [InlineData("unknown", "10.0.0.1")]
    [InlineData("6.6.6.6, _hidden", "10.0.0.1")]
    [InlineData("6.6.6.6, unknown, 10.0.0.3", "10.0.0.3")]
    [InlineData("6.6.6.6,", "10.0.0.1")]
    [InlineData("6.6.6.6, , 10.0.0.3", "10.0.0.3")]
    [InlineData("", "10.0.0.1")]
    [InlineData("::", "10.0.0.1")]
    [InlineData("\"203.0.113.9\"", "10.0.0.1")]
    public void The_client_is_found_from_the_end_of_the_list(string list, string client) =>
        Assert.Equal(Endpoint(client), ClientOf(s_proxy, $"X-Forwarded-For: {list}\r\n"));

    [Fact]
    public void Lines_are_one_list()
    {
        Assert.Equal(Endpoint("203.0.113.9"), ClientOf(s_proxy, "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-A: b\r\nx-forwarded-for: 10.0.0.3\r\n"));
        Assert.Equal(Endpoint("10.0.0.1"), ClientOf(s_proxy, "X-A: b\r\n"));
        Assert.Equal(Endpoint("10.0.0.1"), ClientOf(s_proxy, "x_forwarded_for: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"));
    }

    [Fact]
    public void Whoever_is_not_trusted_is_the_client_himself()
    {
        Assert.Equal(s_stranger, ClientOf(s_stranger, "X-Forwarded-For: 6.6.6.6\r\n"));
        Assert.Equal(Endpoint("6.6.6.6"), ClientOf(default, "X-Forwarded-For: 6.6.6.6\r\n"));
    }

    [Fact]
    public void Ten_thousand_bytes_of_garbage_end_at_the_last_address_that_could_be_read()
    {
        Assert.Equal(Endpoint("10.0.0.3"), ClientOf(s_proxy, $"X-Forwarded-For: 6.6.6.6, {new string('x', 10_000)}, 10.0.0.3\r\n"));
        Assert.Equal(Endpoint("6.6.6.6"), ClientOf(s_proxy, $"X-Forwarded-For: 6.6.6.6{string.Concat(Enumerable.Repeat(", 10.0.0.3", 1000))}\r\n"));
    }

    [Theory]
    [InlineData("for=203.0.113.9", "203.0.113.9")]
    [InlineData("For=\"203.0.113.9:80\";proto=https;by=_x", "203.0.113.9:80")]
    [InlineData("for=6.6.6.6, for=\"[2001:db9::1]:4711\";host=\"a:1,b\"", "[2001:db9::1]:4711")]
    [InlineData("for=6.6.6.6, for=203.0.113.9, proto=http;for=10.0.0.3", "203.0.113.9")]
    [InlineData("for=6.6.6.6, for=_hidden", "10.0.0.1")]
    [InlineData("for=6.6.6.6, proto=http", "10.0.0.1")]
    [InlineData("for=6.6.6.6;for=6.6.6.7", "10.0.0.1")]
    [InlineData("for=6.6.6.6;", "10.0.0.1")]
    [InlineData("for=\"6.6.6.6\\\"\"", "10.0.0.1")]
    [InlineData("for=\"6.6.6.6\"x", "10.0.0.1")]
    public void Forwarded_is_read_in_the_same_way(string list, string client) =>
        Assert.Equal(Endpoint(client), ClientOf(s_proxy, $"Forwarded: {list}\r\nX-Forwarded-For: 7.7.7.7\r\n", ForwardedStyle.Rfc7239));

    [Theory]
    [InlineData("for=\"")]
    [InlineData("for=6.6.6.6;x=\"")]
    [InlineData("for=\"6.6.6.6, for=")]
    public void A_quote_that_a_client_leaves_open_hides_nothing_that_a_proxy_writes_behind_it(string hostile)
    {
        Assert.Equal(Endpoint("203.0.113.9"), ClientOf(s_proxy, $"Forwarded: {hostile}, for=203.0.113.9\r\n", ForwardedStyle.Rfc7239));
        Assert.Equal(Endpoint("[2001:db9::1]:0"), ClientOf(s_proxy, $"Forwarded: {hostile}, for=\"[2001:db9::1]\"\r\n", ForwardedStyle.Rfc7239));
    }

    [Fact]
    public void A_trusted_proxys_lines_are_continued()
    {
        var lines = Lines(
            new ForwardingSettings { TrustedProxies = s_trusted, Port = true },
            s_proxy,
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nx-forwarded-for: 203.0.113.9\r\nX-Forwarded-Host: outside\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /p\r\nX_Forwarded_Host: evil\r\n");
        Assert.Equal(
            ["X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: outside", "X-Forwarded-Port: 443", "X-Forwarded-Prefix: /p"],
            lines);
    }

    [Fact]
    public void A_strangers_lines_are_replaced()
    {
        var lines = Lines(
            new ForwardingSettings { TrustedProxies = s_trusted, Port = true, Style = ForwardedStyle.Both, By = "_edge" },
            s_stranger,
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /p\r\nForwarded: for=6.6.6.6\r\n");
        Assert.Equal(
            [
                "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: http", "X-Forwarded-Port: 8000", "X-Forwarded-Host: a:8000",
                "Forwarded: for=192.0.2.7;by=_edge;host=\"a:8000\";proto=http",
            ],
            lines);
    }

    [Fact]
    public void Forwarded_quotes_what_is_no_token_and_is_continued_for_those_who_are_trusted()
    {
        var settings = new ForwardingSettings { TrustedProxies = s_trusted, Style = ForwardedStyle.Rfc7239 };
        var ipv6 = new ClientAddress(IPAddress.Parse("2001:db8::5").GetAddressBytes(), 1);
        Assert.Equal(
            ["Forwarded: for=1.1.1.1;proto=https, for=2.2.2.2, for=\"[2001:db8::5]\";host=a;proto=http"],
            Lines(settings, ipv6, "Forwarded: for=1.1.1.1;proto=https\r\nForwarded: for=2.2.2.2\r\nX-Forwarded-For: 6.6.6.6\r\n", host: "a"));
        Assert.Equal(["Forwarded: for=unknown;host=\"[::1]\";proto=http"], Lines(settings, default, "", host: "[::1]"));
        Assert.Empty(Lines(settings with { Style = ForwardedStyle.None }, s_proxy, "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"));
    }

    [Theory]
    [InlineData("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: orig\r\nForwarded: for=6.6.6.6\r\n", "for=1.2.3.4;host=orig;proto=https, ")]
    [InlineData("X-Forwarded-For: 1.2.3.4:80, [2001:db9::1]:443 ,2001:db9::2\r\nx-forwarded-for: [2001:db9::3]\r\n", "for=\"1.2.3.4:80\", for=\"[2001:db9::1]:443\", for=\"[2001:db9::2]\", for=\"[2001:db9::3]\", ")]
    [InlineData("X-Forwarded-For: \"1.2.3.4, _hidden,, 1.2.3.4;proto=x\r\nX-Forwarded-Host: [::1]:80\r\n", "for=unknown;host=\"[::1]:80\", for=unknown, for=unknown, for=unknown, ")]
    [InlineData("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\"b\r\n", "for=1.2.3.4, ")]
    [InlineData("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a b\r\nX_Forwarded_For: 6.6.6.6\r\n", "for=1.2.3.4, ")]
    [InlineData("X-Forwarded-Proto: https\r\n", "for=unknown;proto=https, ")]
    [InlineData("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: \r\n", "for=6.6.6.6, for=unknown, ")]
    [InlineData("X-Forwarded-Prefix: /p\r\nForwarded: for=6.6.6.6\r\n", "")]
    public void Where_both_are_sent_Forwarded_says_what_X_Forwarded_says(string sent, string told) =>
        Assert.Equal(
            $"Forwarded: {told}for=10.0.0.1;host=a;proto=http",
            Lines(new ForwardingSettings { TrustedProxies = s_trusted, Style = ForwardedStyle.Both }, s_proxy, sent, host: "a")[^1]);

    [Fact]
    public void A_list_that_is_too_long_when_it_is_translated_is_refused_and_not_cut()
    {
        var (source, head, _) = Parse($"X-Forwarded-For: {new string(',', 10_000)}\r\n", "a");
        Assert.True(Writes(ForwardedStyle.XForwarded));
        Assert.False(Writes(ForwardedStyle.Both));

        bool Writes(ForwardedStyle style) =>
            Forwarder.Of(new ForwardingSettings { TrustedProxies = s_trusted, Style = style }, 8000)!.TryWriteLines(s_proxy, source, head, "a"u8, default, new RandomSource(1), out _);
    }

    [Theory]
    [InlineData("Forwarded: for=\"1.1.1.1\r\n", "")]
    [InlineData("Forwarded: =\r\n", "")]
    [InlineData("Forwarded: for=1.1.1.1;for=2.2.2.2\r\n", "")]
    [InlineData("Forwarded: proto=https;by=_x\r\n", "proto=https;by=_x, ")]
    [InlineData("Forwarded: for=_hidden, for=\"a,b\";secret=\"\"\r\n", "for=_hidden, for=\"a,b\";secret=\"\", ")]
    [InlineData("Forwarded: for=6.6.6.6\r\nForwarded: for=\", for=203.0.113.9,for=10.0.0.3\r\n", "for=203.0.113.9,for=10.0.0.3, ")]
    [InlineData("Forwarded: for=6.6.6.6\r\nForwarded: \r\nForwarded: for=203.0.113.9\r\n", "for=203.0.113.9, ")]
    [InlineData("Forwarded: for=6.6.6.6,\r\n", "")]
    public void What_is_not_well_formed_goes_no_further_and_neither_does_what_stands_before_it(string sent, string told) =>
        Assert.Equal(
            [$"Forwarded: {told}for=10.0.0.1;host=a;proto=http"],
            Lines(new ForwardingSettings { TrustedProxies = s_trusted, Style = ForwardedStyle.Rfc7239 }, s_proxy, sent, host: "a"));

    [Theory]
    [InlineData(RequestIdMode.Accept, true, "abc-1", true)]
    [InlineData(RequestIdMode.Accept, false, "abc-1", false)]
    [InlineData(RequestIdMode.AcceptAll, false, "abc-1", true)]
    [InlineData(RequestIdMode.Generate, true, "abc-1", false)]
    [InlineData(RequestIdMode.AcceptAll, true, "two words", false)]
    [InlineData(RequestIdMode.AcceptAll, true, "a\"b", false)]
    [InlineData(RequestIdMode.AcceptAll, true, "", false)]
    [InlineData(RequestIdMode.AcceptAll, true, "one\r\nX-Request-Id: two", false)]
    public void An_id_is_accepted_or_made(RequestIdMode mode, bool fromProxy, string sent, bool accepted)
    {
        var lines = Lines(
            new ForwardingSettings { TrustedProxies = s_trusted, RequestId = mode, Style = ForwardedStyle.None },
            fromProxy ? s_proxy : s_stranger,
            $"x-request-id: {sent}\r\n");
        Assert.Matches(accepted ? $"^X-Request-Id: {sent}$" : "^X-Request-Id: [0-9a-f]{32}$", Assert.Single(lines));
    }

    [Fact]
    public void An_id_has_at_most_128_bytes_and_made_ones_differ()
    {
        var settings = new ForwardingSettings { RequestId = RequestIdMode.AcceptAll, Style = ForwardedStyle.None };
        Assert.Equal([$"X-Request-Id: {new string('a', 128)}"], Lines(settings, s_stranger, $"X-Request-Id: {new string('a', 128)}\r\n"));
        var made = Enumerable.Range(0, 50).SelectMany(_ => Lines(settings, s_stranger, $"X-Request-Id: {new string('a', 129)}\r\n")).ToArray();
        Assert.Equal(50, made.Distinct().Count());
    }

    [Theory]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true)]
    [InlineData("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true)]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false)]
    [InlineData("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false)]
    [InlineData("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false)]
    [InlineData("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false)]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false)]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false)]
    [InlineData("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false)]
    [InlineData("", false)]
    public void A_trace_goes_on_or_is_started(string sent, bool isValid)
    {
        var settings = new ForwardingSettings { Trace = TraceMode.StartSampled, Style = ForwardedStyle.None };
        var lines = Lines(settings, s_stranger, $"traceparent: {sent}\r\ntracestate: a=b\r\n", out var passed);
        Assert.Equal(isValid, passed.Contains("tracestate: a=b", StringComparison.Ordinal) && passed.Contains($"traceparent: {sent}", StringComparison.Ordinal));
        if (isValid)
        {
            Assert.Empty(lines);
            return;
        }

        Assert.DoesNotContain("trace", passed, StringComparison.Ordinal);
        var started = Assert.Single(lines)["traceparent: ".Length..];
        Assert.True(TraceParent.IsValid(Encoding.ASCII.GetBytes(started)));
        Assert.EndsWith("-01", started, StringComparison.Ordinal);
    }

    [Fact]
    public void Server_timing_is_in_milliseconds()
    {
        Span<byte> line = stackalloc byte[ServerTiming.MaxBytes];
        var length = ServerTiming.Write(new RequestTimes(12_345_678, 0, 999, 1_000_000_000), line);
        Assert.Equal("Server-Timing: fastlb;dur=12.345, queue;dur=0.000, connect;dur=0.000, worker;dur=1000.000\r\n", Encoding.ASCII.GetString(line[..length]));
        length = ServerTiming.Write(new RequestTimes(long.MaxValue, long.MaxValue, long.MaxValue, -1), line);
        Assert.EndsWith("worker;dur=0.000\r\n", Encoding.ASCII.GetString(line[..length]), StringComparison.Ordinal);
    }

    [Fact]
    public void The_usual_way_needs_nobody_and_strangers_go_it_where_proxies_alone_are_trusted()
    {
        Assert.Null(Forwarder.Of(ForwardingSettings.Default with { TrustedProxies = new NetworkSet([]) }, 8000));
        var forwarder = Forwarder.Of(new ForwardingSettings { TrustedProxies = s_trusted }, 8000)!;
        Assert.False(forwarder.Concerns(s_stranger));
        Assert.True(forwarder.Concerns(s_proxy));
        Assert.True(Forwarder.Of(new ForwardingSettings { Port = true }, 8000)!.Concerns(s_stranger));
    }

    private static ClientAddress ClientOf(ClientAddress peer, string lines, ForwardedStyle style = ForwardedStyle.XForwarded)
    {
        var (source, head, _) = Parse(lines, "a");
        return Forwarder.Of(new ForwardingSettings { TrustedProxies = s_trusted, Style = style }, 8000)!.ClientOf(peer, source, head);
    }

    private static string[] Lines(ForwardingSettings settings, ClientAddress peer, string lines, string host = "a:8000") => Lines(settings, peer, lines, out _, host);

    /// <summary>The lines that are written, and in <paramref name="passed"/> what is left of the head.</summary>
    private static string[] Lines(ForwardingSettings settings, ClientAddress peer, string lines, out string passed, string host = "a:8000")
    {
        var (source, head, facts) = Parse(lines, host);
        var forwarder = Forwarder.Of(settings, 8000)!;
        var random = new RandomSource((ulong)Random.Shared.NextInt64());
        RequestId id = default;
        forwarder.Identify(peer, source, head, random, ref id);
        Assert.True(forwarder.TryWriteLines(peer, source, head, Encoding.ASCII.GetBytes(host), id, random, out var written));
        var rewrite = new RequestRewrite { ClientAddress = "x"u8, FallbackHost = "f"u8, HasForwardingLines = true, ForwardingLines = written };
        var target = new byte[64 * 1024];
        var all = Encoding.Latin1.GetString(target, 0, HeadRewriter.WriteRequest(source, head, facts, rewrite, target));
        var text = Encoding.Latin1.GetString(written);
        passed = text.Length == 0 ? all : all.Replace(text, "", StringComparison.Ordinal);
        Assert.DoesNotContain("X-Forwarded", passed, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("request-id", passed, StringComparison.OrdinalIgnoreCase);
        return text.Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
    }

    private static (byte[] Source, MessageHead Head, RequestFacts Facts) Parse(string lines, string host)
    {
        var source = Encoding.Latin1.GetBytes($"GET / HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        var head = new MessageHead();
        Assert.Equal(ParseStatus.Done, RequestParser.Parse(source, 0, HttpLimits.Default, head, out _));
        Assert.Equal(Refusal.None, RequestRules.Check(source, head, HttpLimits.Default, out var facts));
        return (source, head, facts);
    }

    private static ClientAddress Endpoint(string text)
    {
        var ip = IPEndPoint.Parse(text);
        return new ClientAddress(ip.Address.MapToIPv6().GetAddressBytes(), (ushort)ip.Port);
    }
}
