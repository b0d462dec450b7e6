using System.Net;
using System.Text;
using BenchmarkDotNet.Attributes;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;

namespace FastLB.Microbenchmarks;

/// <summary>How long does a choice take among few and many workers, the counting of the request included?</summary>
[MemoryDiagnoser]
public class PickBenchmarks
{
    private readonly RandomSource _random = new(1);
    private readonly Strategy _roundRobin = new RoundRobin();
    private readonly Strategy _twoChoices = new TwoChoices();
    private readonly Strategy _weightedRoundRobin = new WeightedRoundRobin();
    private readonly Strategy _randomChoice = new RandomChoice();
    private readonly Strategy _leastConnections = new LeastConnections();
    private readonly Strategy _responseTime = new ResponseTime();
    private readonly Strategy _consistentHash = new ConsistentHash(1.25);
    private readonly Strategy _zone = new ZoneAware();
    private readonly Strategy _auto = new Auto();
    private MaglevTable _table = new([]);
    private Worker[] _workers = [];
    private long _now;
    private ulong _key;

    [Params(2, 64)]
    public int Workers
    {
        get => _workers.Length;
        set
        {
            _workers = [.. Enumerable.Range(0, value).Select(slot => new Worker("app", slot, 1, Endpoint.Unix("/run/app.sock"), loops: 4) { Zone = slot % 2 })];
            _table = new MaglevTable(_workers);
            foreach (var worker in _workers)
            {
                worker.NoteAnswer(0, nowMs: 0, 1_000_000 + worker.Slot, isServerError: false);
            }
        }
    }

    [Benchmark(Baseline = true)]
    public long RoundRobin() => Serve(_roundRobin);

    [Benchmark]
    public long TwoChoices() => Serve(_twoChoices);

    [Benchmark]
    public long WeightedRoundRobin() => Serve(_weightedRoundRobin);

    [Benchmark]
    public long Random() => Serve(_randomChoice);

    [Benchmark]
    public long LeastConnections() => Serve(_leastConnections);

    /// <summary>With an answer that is measured.</summary>
    [Benchmark]
    public long ResponseTime()
    {
        var slot = Serve(_responseTime);
        _workers[slot].NoteAnswer(0, _now >> 6, 1_000_000, isServerError: false);
        return slot;
    }

    [Benchmark]
    public long ConsistentHash() => Serve(_consistentHash);

    [Benchmark]
    public long Zone() => Serve(_zone);

    [Benchmark]
    public long Auto() => Serve(_auto);

    private long Serve(Strategy strategy)
    {
        var worker = _workers[Pick(strategy)];
        worker.Begin(0);
        worker.End(0, failed: false);
        return worker.Slot;
    }

    /// <summary>64 requests in a millisecond, each with a key of its own.</summary>
    private int Pick(Strategy strategy) => strategy.Pick(new Choice
    {
        Workers = _workers,
        Random = _random,
        Loop = 0,
        NowMs = _now++ >> 6,
        Key = _key += 0x9E3779B97F4A7C15,
        Zone = 1,
        Table = _table,
        PoolInFlight = 0,
    });
}

/// <summary>How long does the choice alone take, among 64 workers?</summary>
[MemoryDiagnoser]
public class ChoiceBenchmarks
{
    private readonly RandomSource _random = new(1);
    private readonly Strategy _twoChoices = new TwoChoices();
    private readonly Strategy _responseTime = new ResponseTime();
    private readonly Strategy _consistentHash = new ConsistentHash(1.25);
    private readonly Worker[] _workers;
    private readonly MaglevTable _table;
    private long _now;
    private ulong _key;

    public ChoiceBenchmarks()
    {
        _workers = [.. Enumerable.Range(0, 64).Select(slot => new Worker("app", slot, 1, Endpoint.Unix("/run/app.sock"), loops: 4))];
        _table = new MaglevTable(_workers);
        foreach (var worker in _workers)
        {
            worker.NoteAnswer(0, nowMs: 0, 1_000_000 + worker.Slot, isServerError: false);
        }
    }

    [Benchmark(Baseline = true)]
    public int TwoChoices() => Pick(_twoChoices);

    [Benchmark]
    public int ResponseTime() => Pick(_responseTime);

    [Benchmark]
    public int ConsistentHash() => Pick(_consistentHash);

    /// <summary>1,024 requests in a millisecond, each with a key of its own.</summary>
    private int Pick(Strategy strategy) => strategy.Pick(new Choice
    {
        Workers = _workers,
        Random = _random,
        Loop = 0,
        NowMs = _now++ >> 10 & 0xFFFF,
        Key = _key += 0x9E3779B97F4A7C15,
        Table = _table,
        PoolInFlight = 0,
    });
}

/// <summary>How long does it take to find a client's zone among 1,000 networks of its family?</summary>
[MemoryDiagnoser]
public class ZoneTableBenchmarks
{
    private readonly ZoneTable _zones = ZoneTable.Create(
    [
        ("ipv4", [.. Enumerable.Range(0, 1_000).Select(i => new IPNetwork(new IPAddress([10, (byte)(i >> 7), (byte)(i << 1), 0]), 24))]),
        ("ipv6", [.. Enumerable.Range(0, 1_000).Select(i => IPNetwork.Parse($"2001:db8:{i:x}::/48"))]),
    ]);

    private uint _next;

    [Benchmark(Baseline = true)]
    public int IPv4() => _zones.ZoneOf(new ClientAddress(0x0A00_0000 | ((_next += 0x9E37_79B9) >> 13), 4711));

    [Benchmark]
    public int IPv6() => _zones.ZoneOf(new ClientAddress([0x20, 0x01, 0x0d, 0xb8, (byte)((_next += 0x9E37_79B9) >> 30), (byte)(_next >> 22), 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 4711));
}

/// <summary>How long does a table of 2, 64 and 1,000 workers take to build?</summary>
public class MaglevTableBenchmarks
{
    private Worker[] _workers = [];

    [Params(2, 64, 1_000)]
    public int Workers
    {
        get => _workers.Length;
        set => _workers = [.. Enumerable.Range(0, value).Select(slot => new Worker("app", slot, 1, Endpoint.Unix("/run/app.sock"), loops: 1))];
    }

    [Benchmark]
    public int Build() => new MaglevTable(_workers).Size;
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
