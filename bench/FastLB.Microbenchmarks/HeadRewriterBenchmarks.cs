using BenchmarkDotNet.Attributes;
using FastLB.Core.Http;

namespace FastLB.Microbenchmarks;

/// <summary>How long does it take to write the head that goes on, once the one that came is parsed?</summary>
[MemoryDiagnoser]
public class HeadRewriterBenchmarks
{
    private readonly MessageHead _wrk = new();
    private readonly MessageHead _browser = new();
    private readonly MessageHead _response = new();
    private readonly RequestFacts _wrkFacts;
    private readonly RequestFacts _browserFacts;
    private readonly ResponseFacts _responseFacts;
    private readonly byte[] _target = new byte[4096];

    public HeadRewriterBenchmarks()
    {
        RequestParser.Parse(SampleMessages.WrkRequest, 0, HttpLimits.Default, _wrk, out _);
        RequestRules.Check(SampleMessages.WrkRequest, _wrk, HttpLimits.Default, out _wrkFacts);
        RequestParser.Parse(SampleMessages.BrowserRequest, 0, HttpLimits.Default, _browser, out _);
        RequestRules.Check(SampleMessages.BrowserRequest, _browser, HttpLimits.Default, out _browserFacts);
        ResponseParser.Parse(SampleMessages.NodeResponse, 0, HttpLimits.Default, _response, out _);
        ResponseRules.Check(SampleMessages.NodeResponse, _response, RequestMethod.Get, out _responseFacts);
    }

    [Benchmark(Baseline = true)]
    public int WrkRequest() => Request(SampleMessages.WrkRequest, _wrk, _wrkFacts, default);

    [Benchmark]
    public int BrowserRequestWithStickyCookieStripped() => Request(SampleMessages.BrowserRequest, _browser, _browserFacts, "FASTLB"u8);

    [Benchmark]
    public int NodeResponse()
    {
        var rewrite = new ResponseRewrite { ClientVersion = HttpVersion.Http11, Close = false, Chunked = false };
        return HeadRewriter.WriteResponse(SampleMessages.NodeResponse, _response, _responseFacts, rewrite, _target);
    }

    private int Request(byte[] source, MessageHead head, in RequestFacts facts, ReadOnlySpan<byte> strippedCookie)
    {
        var rewrite = new RequestRewrite
        {
            ClientAddress = "203.0.113.7"u8,
            FallbackHost = "127.0.0.1:8000"u8,
            StrippedCookie = strippedCookie,
        };
        return HeadRewriter.WriteRequest(source, head, facts, rewrite, _target);
    }
}
