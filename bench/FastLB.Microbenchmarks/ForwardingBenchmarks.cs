using System.Net;
using BenchmarkDotNet.Attributes;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Microbenchmarks;

/// <summary>What does it cost to find a request's client behind proxies, to name the request, and to tell the worker, beside the head that is rewritten in the usual way?</summary>
[MemoryDiagnoser]
public class ForwardingBenchmarks
{
    private static readonly ClientAddress s_proxy = new(0x0A000001, 1);

    private readonly byte[] _source = [.. "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.3\r\nX-Forwarded-Proto: https\r\n\r\n"u8];
    private readonly byte[] _header = [.. "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n"u8];
    private readonly byte[] _binary = new byte[ProxyHeader.MaxVersion1Bytes];
    private readonly MessageHead _head = new();
    private readonly Forwarder _forwarder;
    private readonly RandomSource _random = new(1);

    public ForwardingBenchmarks()
    {
        var trusted = new NetworkSet([IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("2001:db8::/32")]);
        _forwarder = Forwarder.Of(new ForwardingSettings { TrustedProxies = trusted, RequestId = RequestIdMode.Generate, Trace = TraceMode.Start, Style = ForwardedStyle.Both }, 8000)!;
        RequestParser.Parse(_source, 0, HttpLimits.Default, _head, out _);
        ProxyHeaderWriter.Write(ProxyVersion.V2, s_proxy, s_proxy, _binary);
    }

    [Benchmark(Baseline = true)]
    public bool Client() => _forwarder.ClientOf(s_proxy, _source, _head).IsIPv4;

    [Benchmark]
    public int Lines()
    {
        RequestId id = default;
        _forwarder.Identify(s_proxy, _source, _head, _random, ref id);
        _forwarder.TryWriteLines(s_proxy, _source, _head, "a"u8, id, _random, out var lines);
        return lines.Length;
    }

    [Benchmark]
    public int HeaderOfVersion1()
    {
        ProxyHeader.Parse(_header, out var header);
        return header.Length;
    }

    [Benchmark]
    public int HeaderOfVersion2()
    {
        ProxyHeader.Parse(_binary, out var header);
        return header.Length;
    }
}
