using System.Globalization;
using System.Text;
using BenchmarkDotNet.Attributes;
using FastLB.Core.Http;

namespace FastLB.Microbenchmarks;

/// <summary>What the parser benchmarks read: heads as they come from wrk, from a browser and from a Node worker.</summary>
public static class SampleMessages
{
    public static byte[] WrkRequest { get; } = Head(
        "GET /index.html?n=42 HTTP/1.1",
        "Host: 127.0.0.1:8000",
        "User-Agent: wrk/4.1.0",
        "Accept: */*");

    public static byte[] BrowserRequest { get; } = Head(
        "GET /shop/articles/42?sort=price&page=3 HTTP/1.1",
        "Host: shop.example.com",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Referer: https://shop.example.com/shop/articles?sort=price",
        "Connection: keep-alive",
        "Cookie: session=9f1c2d7e8a6b4c3d; theme=dark; FASTLB=app.3.1f2e3d4c5b6a79881726354453627180",
        "Upgrade-Insecure-Requests: 1",
        "Priority: u=0, i");

    public static byte[] NodeResponse { get; } = Head(
        "HTTP/1.1 200 OK",
        "Content-Type: text/plain; charset=utf-8",
        "Date: Sat, 21 Nov 2026 09:30:00 GMT",
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Content-Length: 128");

    /// <summary>64 KB of body in chunks of <paramref name="chunkBytes"/>, with its end.</summary>
    public static byte[] ChunkedBody(int chunkBytes)
    {
        var text = new StringBuilder();
        for (var written = 0; written < 64 * 1024; written += chunkBytes)
        {
            text.Append(chunkBytes.ToString("x", CultureInfo.InvariantCulture)).Append("\r\n").Append('d', chunkBytes).Append("\r\n");
        }

        return Encoding.ASCII.GetBytes(text.Append("0\r\n\r\n").ToString());
    }

    private static byte[] Head(params string[] lines) => Encoding.ASCII.GetBytes(string.Join("\r\n", lines) + "\r\n\r\n");
}

/// <summary>How long does it take to read a request head that came in one piece?</summary>
[MemoryDiagnoser]
public class RequestParserBenchmarks
{
    private readonly MessageHead _head = new();

    [Benchmark(Baseline = true)]
    public int WrkRequest() => Parse(SampleMessages.WrkRequest);

    [Benchmark]
    public int BrowserRequest() => Parse(SampleMessages.BrowserRequest);

    /// <summary>The head's length in bytes, or 0 if it was not read to its end.</summary>
    private int Parse(byte[] bytes) =>
        RequestParser.Parse(bytes, 0, HttpLimits.Default, _head, out _) == ParseStatus.Done ? _head.Length : 0;
}

/// <summary>What do the rules add to the parsing of a request?</summary>
[MemoryDiagnoser]
public class RequestRulesBenchmarks
{
    private readonly MessageHead _wrk = Parsed(SampleMessages.WrkRequest);
    private readonly MessageHead _browser = Parsed(SampleMessages.BrowserRequest);

    [Benchmark(Baseline = true)]
    public int WrkRequest() => Check(SampleMessages.WrkRequest, _wrk);

    [Benchmark]
    public int BrowserRequest() => Check(SampleMessages.BrowserRequest, _browser);

    /// <summary>The length of the host in bytes, or 0 if the request was refused.</summary>
    private static int Check(byte[] bytes, MessageHead head) =>
        RequestRules.Check(bytes, head, HttpLimits.Default, out var facts) == Refusal.None ? facts.HostLength : 0;

    private static MessageHead Parsed(byte[] bytes)
    {
        var head = new MessageHead();
        RequestParser.Parse(bytes, 0, HttpLimits.Default, head, out _);
        return head;
    }
}

/// <summary>How long does a worker's response head take, to read and with its rules?</summary>
[MemoryDiagnoser]
public class ResponseParserBenchmarks
{
    private readonly MessageHead _head = new();

    [Benchmark(Baseline = true)]
    public int NodeResponse() =>
        ResponseParser.Parse(SampleMessages.NodeResponse, 0, HttpLimits.Default, _head, out _) == ParseStatus.Done
            ? _head.Length
            : 0;

    /// <summary>The length of the body in bytes, or 0 if the response was refused.</summary>
    [Benchmark]
    public long NodeResponseWithRules() =>
        ResponseParser.Parse(SampleMessages.NodeResponse, 0, HttpLimits.Default, _head, out _) == ParseStatus.Done
        && ResponseRules.Check(SampleMessages.NodeResponse, _head, RequestMethod.Get, out var facts) == Refusal.None
            ? facts.Body.Length
            : 0;
}

/// <summary>What does a client that sends its head in many small pieces cost, for the whole head?</summary>
[MemoryDiagnoser]
public class TrickledRequestBenchmarks
{
    private readonly MessageHead _head = new();

    [Params(1, 16)]
    public int PieceBytes { get; set; } = 1;

    /// <summary>The head's length in bytes, or 0 if it was not read to its end.</summary>
    [Benchmark]
    public int BrowserRequest()
    {
        var bytes = SampleMessages.BrowserRequest.AsSpan();
        for (var seen = 0; seen < bytes.Length; seen += PieceBytes)
        {
            var come = Math.Min(bytes.Length, seen + PieceBytes);
            if (RequestParser.Parse(bytes[..come], seen, HttpLimits.Default, _head, out _) == ParseStatus.Done)
            {
                return _head.Length;
            }
        }

        return 0;
    }
}

/// <summary>How long do 64 KB of chunked body take, by the size of the chunks?</summary>
[MemoryDiagnoser]
public class ChunkedReaderBenchmarks
{
    private byte[] _body = SampleMessages.ChunkedBody(16);

    [Params(16, 1024, 16 * 1024)]
    public int ChunkBytes { get; set; } = 16;

    [GlobalSetup]
    public void Setup() => _body = SampleMessages.ChunkedBody(ChunkBytes);

    /// <summary>The bytes of body that were handed out, or -1 if the body was refused.</summary>
    [Benchmark]
    public int Read()
    {
        var reader = default(ChunkedReader);
        var rest = _body.AsSpan();
        var bodyBytes = 0;
        while (true)
        {
            switch (reader.Next(rest, out var consumed, out _, out var dataLength, out _))
            {
                case ChunkStep.Data:
                    bodyBytes += dataLength;
                    rest = rest[consumed..];
                    break;
                case ChunkStep.End:
                    return bodyBytes;
                default:
                    return -1;
            }
        }
    }
}
