using System.Diagnostics;

namespace FastLB.Linux;

/// <summary>The loops' clock, for whoever shares times with them (CLOCK_MONOTONIC). Any thread.</summary>
public static class MonotonicClock
{
    private static readonly long s_nsPerTick = 1_000_000_000 / Stopwatch.Frequency;

    public static long NowNs => Stopwatch.GetTimestamp() * s_nsPerTick;

    public static long NowMs => NowNs / 1_000_000;
}
