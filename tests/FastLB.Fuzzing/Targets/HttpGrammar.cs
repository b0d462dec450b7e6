using System.Globalization;
using System.Text;
using FastLB.Core.Loop;
using FastLB.Tests.Http;

namespace FastLB.Fuzzing.Targets;

/// <summary>Makes messages of HTTP/1.1 that are mostly right (RFC 9110, RFC 9112), and has the pieces of those that are not.</summary>
internal static class HttpGrammar
{
    private static readonly string[] s_methods = ["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "M-SEARCH", "get", "X"];
    private static readonly string[] s_targets = ["/", "/a/b?c=d", "*", "http://h/", "http://h:80", "https://[::1]:8/p?q", "HTTP://h?q", "ftp://h/", "/%41/../x", "h:80", "//x//", "http://u@h/"];
    private static readonly string[] s_hosts = ["a", "example.com", "a:80", "[::1]", "[::1]:443", "1.2.3.4:", "", "a,b", "a:99999", "%41", "%4", "[::1", "a b", "A-1._~!$&'()*+;="];
    private static readonly string[] s_options = ["close", "keep-alive", "upgrade", "Close", "X-A", "host", "content-length", "", "x y", "te", "cookie"];

    private static readonly string[] s_lines =
    [
        "X-A: 1", "X-B:", "x-c:\t v \t", "Cookie: a=b; c", "Accept: */*", "TE: trailers", "Keep-Alive: timeout=5, max=100", "Upgrade: websocket", "Expect: 100-continue", "Expect: x",
        "X-Forwarded-For: 1.2.3.4", "x_forwarded_for: 6", "Forwarded: for=1", "Content_Length: 5", "Transfer_Encoding: chunked", "Proxy-Authorization: x", "Trailer: X", "\u00e9: 1", "X: \u00e9\u00ff",
        "Content-Length: 5", "content-length: 05", "Content-Length: 5, 5", "Content-Length: +5", "Content-Length: 9223372036854775808", "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: , chunked", "Transfer-Encoding:\tCHUNKED\t", "Proxy-Connection: close", "X : 1", " X: 1",
    ];

    public static IReadOnlyList<byte[]> Fragments { get; } =
    [
        .. s_lines.Concat(s_hosts.Select(h => $"Host: {h}")).Concat(s_options.Select(o => $"Connection: {o}")).Select(l => Encoding.Latin1.GetBytes(l + "\r\n")),
        .. s_targets.Concat(s_methods).Concat(["HTTP/1.1", "HTTP/1.0", " HTTP/1.1\r\n", "HTTP/1.9", "HTTP/2.0", "\r\n\r\n", "\r\r\n", "\n", "\r", "\0", " ", "0\r\n\r\n", ";a=b", "1\r\nx\r\n", "FFFFFFFFFFFFFFFF\r\n", "000000000000000", "X: y\r\n"])
            .Select(Encoding.Latin1.GetBytes),
    ];

    public static byte[] Requests(RandomSource chance)
    {
        var wire = new List<byte>();
        for (var count = 1 + (chance.Chance(0.3) ? chance.Next(3) : 0); count > 0; count--)
        {
            AddRequest(chance, wire);
        }

        return [.. wire];
    }

    public static byte[] Response(RandomSource chance)
    {
        var wire = new List<byte>();
        var status = chance.Chance(0.7) ? Pick(chance, ["200", "204", "304", "100", "101", "404", "500", "599"]) : chance.Next(700).ToString(CultureInfo.InvariantCulture);
        Add(wire, $"HTTP/1.{(chance.Chance(0.8) ? 1 : chance.Next(3))} {status}{Pick(chance, [" OK", " ", "", " N\u00e9 x"])}\r\n");
        AddFieldsAndBody(chance, wire, mayHaveBody: true);
        return [.. wire];
    }

    public static byte[] Chunks(RandomSource chance)
    {
        var wire = new List<byte>();
        AddChunks(chance, wire);
        return [.. wire];
    }

    private static void AddRequest(RandomSource chance, List<byte> wire)
    {
        var method = Pick(chance, s_methods);
        var version = chance.Chance(0.8) ? "1.1" : Pick(chance, ["1.0", "1.0", "1.2", "2.0"]);
        Add(wire, $"{method} {(chance.Chance(0.6) ? s_targets[chance.Next(2)] : Pick(chance, s_targets))} HTTP/{version}\r\n");
        if (chance.Chance(0.95))
        {
            Add(wire, $"Host: {(chance.Chance(0.8) ? s_hosts[chance.Next(6)] : Pick(chance, s_hosts))}\r\n");
        }

        AddFieldsAndBody(chance, wire, method is "POST" or "PUT" or "PATCH" || chance.Chance(0.1));
    }

    private static void AddFieldsAndBody(RandomSource chance, List<byte> wire, bool mayHaveBody)
    {
        for (var count = chance.Next(chance.Chance(0.05) ? 110 : 5); count > 0; count--)
        {
            Add(wire, $"{(chance.Chance(0.9) ? s_lines[chance.Next(13)] : Pick(chance, s_lines))}\r\n");
        }

        if (chance.Chance(0.3))
        {
            Add(wire, $"Connection: {string.Join(Pick(chance, [",", ", ", " ,\t"]), Enumerable.Range(0, 1 + chance.Next(chance.Chance(0.05) ? 30 : 3)).Select(_ => Pick(chance, s_options)))}\r\n");
        }

        var kind = mayHaveBody ? chance.Next(3) : 0;
        var length = chance.Next(30);
        Add(wire, kind switch { 1 => $"Content-Length: {length}\r\n\r\n", 2 => "Transfer-Encoding: chunked\r\n\r\n", _ => "\r\n" });
        if (kind == 1)
        {
            wire.AddRange(Enumerable.Range(0, length).Select(_ => (byte)chance.Next(256)));
        }
        else if (kind == 2)
        {
            AddChunks(chance, wire);
        }
    }

    private static void AddChunks(RandomSource chance, List<byte> wire)
    {
        for (var count = chance.Next(5); count > 0; count--)
        {
            var length = 1 + chance.Next(40);
            var size = length.ToString(chance.Chance(0.5) ? "x" : "X4", CultureInfo.InvariantCulture);
            Add(wire, $"{size}{(chance.Chance(0.2) ? $";{new string('e', chance.Next(chance.Chance(0.1) ? 3_000 : 9))}=\"v\"" : "")}\r\n");
            wire.AddRange(Enumerable.Range(0, length).Select(_ => (byte)chance.Next(256)));
            Add(wire, "\r\n");
        }

        Add(wire, $"{new string('0', 1 + chance.Next(3))}\r\n");
        for (var count = chance.Chance(0.3) ? chance.Next(4) : 0; count > 0; count--)
        {
            Add(wire, $"X-Trailer: {new string('t', chance.Next(chance.Chance(0.1) ? 5_000 : 9))}\r\n");
        }

        Add(wire, "\r\n");
    }

    private static string Pick(RandomSource chance, string[] from) => from[chance.Next(from.Length)];

    private static void Add(List<byte> wire, string text) => wire.AddRange(Encoding.Latin1.GetBytes(text));
}
