using System.Text;
using BenchmarkDotNet.Attributes;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Routing;

namespace FastLB.Microbenchmarks;

/// <summary>How long does a choice take among few and many workers, the counting of the request included?</summary>
[MemoryDiagnoser]
public class PickBenchmarks
{
    private readonly RandomSource _random = new(1);
    private readonly Strategy _roundRobin = new RoundRobin();
    private readonly Strategy _twoChoices = new TwoChoices();
    private Worker[] _workers = [];
    private long _now;

    [Params(2, 64)]
    public int Workers
    {
        get => _workers.Length;
        set => _workers = [.. Enumerable.Range(0, value).Select(slot => new Worker("app", slot, 1, Endpoint.Unix("/run/app.sock"), loops: 4))];
    }

    [Benchmark(Baseline = true)]
    public long RoundRobin() => Pick(_roundRobin);

    [Benchmark]
    public long TwoChoices() => Pick(_twoChoices);

    private long Pick(Strategy strategy)
    {
        var worker = _workers[strategy.Pick(new Choice { Workers = _workers, Random = _random, Loop = 0, NowMs = _now++ >> 6 })];
        worker.Begin(0);
        worker.End(0, failed: false);
        return worker.Slot;
    }
}

/// <summary>How long does it take to recognise a sticky cookie that we signed, and one that we did not?</summary>
[MemoryDiagnoser]
public class StickyCookieBenchmarks
{
    private readonly StickyCookie _cookie = new("app", new StickySettings("FASTLB", null), new byte[32]);
    private readonly byte[] _own;
    private readonly byte[] _forged;

    public StickyCookieBenchmarks()
    {
        var line = Encoding.ASCII.GetString(_cookie.SetLineOf(3));
        _own = Encoding.ASCII.GetBytes(line[(line.IndexOf('=', StringComparison.Ordinal) + 1)..line.IndexOf(';', StringComparison.Ordinal)]);
        _forged = [.. _own];
        _forged[^1] ^= 1;
    }

    [Benchmark(Baseline = true)]
    public bool Own() => _cookie.TryRead(_own, out _);

    [Benchmark]
    public bool Forged() => _cookie.TryRead(_forged, out _);
}

/// <summary>How long does it take to find the last of ten routes?</summary>
[MemoryDiagnoser]
public class RouteBenchmarks
{
    private readonly RouteTable _routes = new(
        Enumerable.Range(0, 10).Select(i => new RouteRule($"host{i}.example.com", $"/v{i}/", $"pool{i}")), name => name[^1] - '0');

    [Benchmark]
    public int LastOfTen() => _routes.Match("host9.example.com"u8, "/v9/articles?page=2"u8);
}
