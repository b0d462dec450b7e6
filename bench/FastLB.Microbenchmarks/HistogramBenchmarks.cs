using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using FastLB.Core.Metrics;

namespace FastLB.Microbenchmarks;

/// <summary>What does it cost to measure a request: the look at the clock, and the recording of what it says?</summary>
[MemoryDiagnoser]
public class HistogramBenchmarks
{
    private readonly Histogram _histogram = new();
    private long _value = 1;

    [Benchmark(Baseline = true)]
    public long ReadClock() => Stopwatch.GetTimestamp();

    /// <summary>Values from 50 us to a millisecond, as durations of requests are: they share few cache lines.</summary>
    [Benchmark]
    public void Record()
    {
        _value = (_value * 6_364_136_223_846_793_005) + 1_442_695_040_888_963_407;
        _histogram.Record(50_000 + (long)((ulong)_value >> 44));
    }
}

/// <summary>How long does it take to put four loops' histograms together and to read four percentiles, as for each look at the status?</summary>
[MemoryDiagnoser]
public class HistogramReadingBenchmarks
{
    private readonly Histogram[] _loops = [.. Enumerable.Range(0, 4).Select(Filled)];

    [Benchmark]
    public long MergeAndRead()
    {
        var merged = HistogramSnapshot.Merge(_loops.Select(loop => loop.Snapshot()));
        return merged.Percentile(0.5) + merged.Percentile(0.9) + merged.Percentile(0.99) + merged.Percentile(0.999);
    }

    private static Histogram Filled(int seed)
    {
        var histogram = new Histogram();
        for (var i = 0; i < 10_000; i++)
        {
            histogram.Record(50_000 + (i * (seed + 1)));
        }

        return histogram;
    }
}
