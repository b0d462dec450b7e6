using System.Text;
using FastLB.Core.Http;

namespace FastLB.Tests.Proxy;

public class HeadRewriterTests
{
    [Fact]
    public void What_belongs_to_one_hop_is_left_out()
    {
        var head = Request("GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nTE: trailers\r\n"
            + "Trailer: z\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nX-Other: 2\r\nUpgrade: h2c\r\n\r\n");
        foreach (var gone in new[] { "Keep-Alive", "Proxy-", "TE:", "Trailer", "Connection", "X-Mine", "Upgrade" })
        {
            Assert.DoesNotContain(gone, head, StringComparison.OrdinalIgnoreCase);
        }

        Assert.Contains("\r\nX-Other: 2\r\n", head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("X-Forwarded-For")]
    [InlineData("X-Forwarded-Proto")]
    [InlineData("X-Forwarded-Host")]
    [InlineData("Host")]
    [InlineData("Content-Length")]
    [InlineData("Transfer-Encoding")]
    public void What_a_client_names_in_Connection_does_not_take_away_what_is_ours(string name)
    {
        var head = Request($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: {name}\r\n\r\n");
        foreach (var line in new[] { "Host: a", "X-Forwarded-For: 10.1.2.3", "X-Forwarded-Proto: http", "X-Forwarded-Host: a", "Content-Length: 5" })
        {
            Assert.Contains($"\r\n{line}\r\n", head, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Forwarding_headers_of_the_client_are_not_passed_on_however_they_are_spelled()
    {
        var head = Request("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nx_forwarded_for: 6.6.6.6\r\nX-Forwarded-Port: 6\r\nForwarded: for=6.6.6.6\r\n\r\n");
        Assert.DoesNotContain("6.6.6.6", head, StringComparison.Ordinal);
        Assert.DoesNotContain("Port", head, StringComparison.Ordinal);
        Assert.Single(head.Split("\r\n"), l => l.StartsWith("X-Forwarded-For", StringComparison.Ordinal));
    }

    [Fact]
    public void The_sticky_cookie_is_taken_out_and_the_others_stay()
    {
        Assert.Contains("\r\nCookie: a=1; b=2\r\n", Request("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; FASTLB=3.x; b=2\r\n\r\n", "FASTLB"), StringComparison.Ordinal);
        Assert.Contains("\r\nCookie: XFASTLB=1; FASTLBX=2\r\n", Request("GET / HTTP/1.1\r\nHost: a\r\nCookie: XFASTLB=1;FASTLB=; FASTLBX=2\r\n\r\n", "FASTLB"), StringComparison.Ordinal);
        Assert.DoesNotContain("Cookie", Request("GET / HTTP/1.1\r\nHost: a\r\nCookie: FASTLB=1\r\n\r\n", "FASTLB"), StringComparison.Ordinal);
        Assert.Contains("\r\nCookie: FASTLB=1\r\n", Request("GET / HTTP/1.1\r\nHost: a\r\nCookie: FASTLB=1\r\n\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("FASTLB")]
    public void Cookies_that_are_meant_for_one_hop_go_no_further_whether_ours_is_taken_out_or_not(string stripped)
    {
        const string cookies = "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\n";
        Assert.DoesNotContain("a=1", Request(cookies + "Connection: cookie\r\n\r\n", stripped), StringComparison.Ordinal);
        Assert.Contains("\r\nCookie: a=1\r\n", Request(cookies + "Connection: x-cookie\r\n\r\n", stripped), StringComparison.Ordinal);
    }

    [Fact]
    public void The_absolute_form_becomes_the_origin_form_and_its_host_wins()
    {
        var head = Request("GET http://real:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n");
        Assert.StartsWith("GET /p?q HTTP/1.1\r\nHost: real:81\r\n", head, StringComparison.Ordinal);
        Assert.Contains("X-Forwarded-Host: real:81\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("other", head, StringComparison.Ordinal);
        Assert.StartsWith("GET / HTTP/1.1\r\n", Request("GET http://real HTTP/1.1\r\nHost: other\r\n\r\n"), StringComparison.Ordinal);
    }

    [Fact]
    public void An_old_client_without_Host_gets_ours_and_no_forwarded_host()
    {
        var head = Request("GET / HTTP/1.0\r\nX-A: b\r\n\r\n");
        Assert.StartsWith("GET / HTTP/1.1\r\nHost: fallback:8000\r\nX-A: b\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Forwarded-Host", head, StringComparison.Ordinal);
    }

    [Fact]
    public void An_upgrade_that_is_passed_on_is_put_back_and_one_that_is_not_is_gone()
    {
        const string Asks = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
        Assert.Contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", Request(Asks, upgrade: true), StringComparison.Ordinal);
        Assert.DoesNotContain("Upgrade", Request(Asks), StringComparison.Ordinal);
    }

    [Fact]
    public void Framing_is_written_once_from_what_was_understood()
    {
        Assert.EndsWith("\r\nContent-Length: 5\r\n\r\n", Request("POST / HTTP/1.1\r\nContent-Length: 005\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), StringComparison.Ordinal);
        Assert.EndsWith("\r\nTransfer-Encoding: chunked\r\n\r\n", Request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n"), StringComparison.Ordinal);
        Assert.EndsWith("\r\nContent-Length: 0\r\n\r\n", Request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), StringComparison.Ordinal);
        Assert.DoesNotContain("Length", Request("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StringComparison.Ordinal);
    }

    [Fact]
    public void What_does_not_fit_is_told_at_every_room()
    {
        const string Text = "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nConnection: close\r\n\r\n";
        var whole = Request(Text).Length;
        for (var room = 0; room < whole; room++)
        {
            Assert.Equal(-1, Write(Text, new byte[room], "", false));
        }

        Assert.Equal(whole, Write(Text, new byte[whole], "", false));
    }

    [Fact]
    public void An_answer_with_a_session_is_kept_from_shared_caches()
    {
        var head = Response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nSet-Cookie: own=1\r\n\r\n", setCookie: "Set-Cookie: FASTLB=1.x\r\n");
        Assert.Contains("\r\nSet-Cookie: own=1\r\n", head, StringComparison.Ordinal);
        Assert.Contains("\r\nSet-Cookie: FASTLB=1.x\r\nCache-Control: private\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("Cache-Control", Response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n")]
    [InlineData("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")]
    [InlineData("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")]
    [InlineData("HTTP/1.0 200 \r\nConnection: close\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n")]
    public void An_answers_head_is_written_anew(string came, string goes) => Assert.Equal(goes, Response(came));

    [Fact]
    public void How_the_connection_goes_on_is_said_where_it_is_not_clear()
    {
        const string Came = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\r\n";
        Assert.Equal("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", Response(Came));
        Assert.EndsWith("Connection: close\r\n\r\n", Response(Came, close: true), StringComparison.Ordinal);
        Assert.EndsWith("Connection: keep-alive\r\n\r\n", Response(Came, version: HttpVersion.Http10), StringComparison.Ordinal);
    }

    private static string Request(string text, string cookie = "", bool upgrade = false)
    {
        var target = new byte[4096];
        return Encoding.Latin1.GetString(target, 0, Write(text, target, cookie, upgrade));
    }

    private static int Write(string text, byte[] target, string cookie, bool upgrade)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        var head = new MessageHead();
        Assert.Equal(ParseStatus.Done, RequestParser.Parse(bytes, 0, HttpLimits.Default, head, out _));
        Assert.Equal(Refusal.None, RequestRules.Check(bytes, head, HttpLimits.Default, out var facts));
        var rewrite = new RequestRewrite
        {
            ClientAddress = "10.1.2.3"u8,
            FallbackHost = "fallback:8000"u8,
            StrippedCookie = Encoding.ASCII.GetBytes(cookie),
            Upgrade = upgrade,
        };
        return HeadRewriter.WriteRequest(bytes, head, facts, rewrite, target);
    }

    private static string Response(string text, bool close = false, string setCookie = "", HttpVersion version = HttpVersion.Http11)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        var head = new MessageHead();
        Assert.Equal(ParseStatus.Done, ResponseParser.Parse(bytes, 0, HttpLimits.Default, head, out _));
        Assert.Equal(Refusal.None, ResponseRules.Check(bytes, head, RequestMethod.Get, out var facts));
        var target = new byte[4096];
        var rewrite = new ResponseRewrite
        {
            ClientVersion = version,
            Close = close,
            Chunked = false,
            SetCookieLine = Encoding.ASCII.GetBytes(setCookie),
        };
        return Encoding.Latin1.GetString(target, 0, HeadRewriter.WriteResponse(bytes, head, facts, rewrite, target));
    }
}
