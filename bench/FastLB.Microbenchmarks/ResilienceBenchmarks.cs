using BenchmarkDotNet.Attributes;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Microbenchmarks;

/// <summary>What does a breaker cost a request while all is well, and while it is open?</summary>
[MemoryDiagnoser]
public class BreakerBenchmarks
{
    private readonly CircuitBreaker _closed = new(new BreakerSettings());
    private readonly CircuitBreaker _open = new(new BreakerSettings());

    public BreakerBenchmarks() => _open.Trip(0, new RandomSource(1));

    [Benchmark(Baseline = true)]
    public bool MayPass() => _closed.MayPass(5);

    [Benchmark]
    public bool MayPassOpen() => _open.MayPass(5);

    [Benchmark]
    public bool PassAndSucceed()
    {
        var pass = _closed.TryPass(5);
        _closed.OnSuccess(pass, 5);
        return !pass.IsRefused;
    }
}

/// <summary>What does a limit per client cost: by rate when it is kept, when it is not and when clients push each other out; and by number?</summary>
[MemoryDiagnoser]
public class ClientLimitBenchmarks
{
    private const int Clients = 1 << 10;

    private readonly RateLimiter _wide = new(new RateSettings { PerSecond = 1_000_000, Burst = RateSettings.MaxBurst });
    private readonly RateLimiter _narrow = new(new RateSettings { PerSecond = RateSettings.MinPerSecond, Burst = 1 });
    private readonly RateLimiter _small = new(new RateSettings { Keys = 1 << 10 });
    private readonly ConcurrencyPerClient _concurrency = new(limit: 100, slots: 1 << 16);
    private readonly ulong[] _keys = new ulong[Clients];
    private readonly RandomSource _random = new(1);
    private long _nowUs = 1_000_000;
    private int _next;

    public ClientLimitBenchmarks()
    {
        for (var i = 0; i < Clients; i++)
        {
            _keys[i] = _random.NextUInt64();
            _narrow.TryTake(_keys[i], _nowUs);
        }
    }

    [Benchmark(Baseline = true)]
    public bool Allowed() => _wide.TryTake(NextKey(), _nowUs++).Allowed;

    [Benchmark]
    public bool Refused() => _narrow.TryTake(NextKey(), _nowUs).Allowed;

    [Benchmark]
    public bool NewClient() => _small.TryTake(_random.NextUInt64(), _nowUs++).Allowed;

    [Benchmark]
    public bool EnterAndExit()
    {
        var place = _concurrency.TryEnter(NextKey());
        _concurrency.Exit(place);
        return place.IsCounted;
    }

    private ulong NextKey() => _keys[_next++ & (Clients - 1)];
}

/// <summary>What do a bulkhead's place and a place in the line of waiting requests cost?</summary>
[MemoryDiagnoser]
public class WaitingBenchmarks
{
    private readonly AtomicLimit _limit = new(100);
    private readonly WaitingLine<Request> _line = new(1_024);
    private readonly Request _request = new();

    public WaitingBenchmarks()
    {
        for (var i = 0; i < 100; i++)
        {
            _line.TryEnter(new Request(), out _);
        }
    }

    [Benchmark(Baseline = true)]
    public bool EnterAndExitLimit()
    {
        var entered = _limit.TryEnter();
        _limit.Exit();
        return entered;
    }

    [Benchmark]
    public bool EnterAndLeaveLine()
    {
        var entered = _line.TryEnter(_request, out _);
        _line.Remove(_request);
        return entered;
    }

    private sealed class Request : IWaiting<Request>
    {
        public int Priority => 3;

        public bool IsWaiting { get; set; }

        public Request? WaitingBefore { get; set; }

        public Request? WaitingBehind { get; set; }
    }
}

/// <summary>What does a call cost when four threads make it at once: each for a key of its own, and all for the same one? Per call and thread.</summary>
public class ContentionBenchmarks
{
    private const int Threads = 4;
    private const int Calls = 200_000;

    private readonly RateLimiter _limiter = new(new RateSettings { PerSecond = 1_000_000, Burst = RateSettings.MaxBurst });
    private readonly CircuitBreaker _breaker = new(new BreakerSettings());
    private readonly AtomicLimit _limit = new(1_000);
    private long _nowUs = 1_000_000;

    [Benchmark(Baseline = true, OperationsPerInvoke = Calls)]
    public void LimiterOwnKeys() => OnAll((thread, call) => _limiter.TryTake((ulong)thread * 0x9E37_79B9_7F4A_7C15, _nowUs + call));

    [Benchmark(OperationsPerInvoke = Calls)]
    public void LimiterOneKey() => OnAll((_, call) => _limiter.TryTake(1, _nowUs + call));

    [Benchmark(OperationsPerInvoke = Calls)]
    public void BreakerPassAndSucceed() => OnAll((_, call) => _breaker.OnSuccess(_breaker.TryPass(call), call));

    [Benchmark(OperationsPerInvoke = Calls)]
    public void LimitEnterAndExit() => OnAll((_, _) =>
    {
        if (_limit.TryEnter())
        {
            _limit.Exit();
        }
    });

    private void OnAll(Action<int, int> work)
    {
        // The rate allows what all threads together ask for, so that each call is allowed and writes.
        _nowUs += Threads * Calls;
        using var start = new Barrier(Threads);
        var threads = Enumerable.Range(1, Threads).Select(number => new Thread(() =>
        {
            start.SignalAndWait();
            for (var call = 0; call < Calls; call++)
            {
                work(number, call);
            }
        })).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
    }
}
