using BenchmarkDotNet.Attributes;
using FastLB.Core.Loop;

namespace FastLB.Microbenchmarks;

/// <summary>What does a deadline cost: pushed back, as once per request, and armed anew?</summary>
[MemoryDiagnoser]
public class TimerBenchmarks
{
    private readonly TimerWheel _wheel = new(0);
    private readonly Deadline _pushed = new();
    private readonly Deadline _armed = new();
    private long _now = 1;

    [Benchmark(Baseline = true)]
    public void PushBack() => _wheel.Arm(_pushed, 1_000_000_000 + _now++);

    [Benchmark]
    public void ArmAndCancel()
    {
        _wheel.Arm(_armed, _now + 30_000);
        _wheel.Cancel(_armed);
    }

    private sealed class Deadline : LoopTimer
    {
        public override void OnTimer()
        {
        }
    }
}

/// <summary>What does it cost to rent a buffer and give it back?</summary>
[MemoryDiagnoser]
public class BufferBenchmarks
{
    private readonly BufferPool _pool = new();

    [Benchmark]
    public bool RentAndRelease()
    {
        var buffer = _pool.TryRent(BufferPool.LargeCapacity);
        buffer?.Release();
        return buffer is not null;
    }
}
