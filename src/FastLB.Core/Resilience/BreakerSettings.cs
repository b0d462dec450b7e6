namespace FastLB.Core.Resilience;

/// <summary>When a <see cref="CircuitBreaker"/> opens, for how long, and what closes it. Immutable; checked by <see cref="Check"/>.</summary>
public sealed record BreakerSettings
{
    /// <summary>The most that <see cref="FailuresToOpen"/> and <see cref="SuccessesToClose"/> may be.</summary>
    public const int MaxCount = 127;

    /// <summary>The most that <see cref="Probes"/> may be.</summary>
    public const int MaxProbes = 15;

    /// <summary>The longest of the times: 30 days.</summary>
    public const long MaxTimeMs = 30L * 24 * 60 * 60 * 1000;

    /// <summary>The shortest open time: fewer transitions happen in 100 ms than the breaker keeps for its reader.</summary>
    public const int MinOpenMs = 10;

    /// <summary>Failures in a row that open it, 1 to <see cref="MaxCount"/>; 0: only <see cref="CircuitBreaker.Trip"/> does.</summary>
    public int FailuresToOpen { get; init; } = 5;

    /// <summary>How long the first opening lasts, in milliseconds; each further one in a row lasts twice as long.</summary>
    public long OpenMs { get; init; } = 1_000;

    /// <summary>The most that doubling leads to, in milliseconds.</summary>
    public long MaxOpenMs { get; init; } = 60_000;

    /// <summary>An opening lasts up to this share longer, by chance, so that breakers that opened together are not tried together; 0 to 1.</summary>
    public double JitterShare { get; init; } = 0.25;

    /// <summary>Requests under way at once while half-open, 1 to <see cref="MaxProbes"/>.</summary>
    public int Probes { get; init; } = 1;

    /// <summary>Probes that must succeed to close it, 1 to <see cref="MaxCount"/>.</summary>
    public int SuccessesToClose { get; init; } = 2;

    /// <summary>A probe that was not heard of for so long, in milliseconds, no longer holds its place. Longer than a request may take.</summary>
    public long ProbeTimeMs { get; init; } = 30_000;

    /// <summary>Throws <see cref="ArgumentOutOfRangeException"/> for a value outside its range.</summary>
    public void Check()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(FailuresToOpen);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(FailuresToOpen, MaxCount);
        ArgumentOutOfRangeException.ThrowIfLessThan(OpenMs, MinOpenMs);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxOpenMs, OpenMs);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxOpenMs, MaxTimeMs);
        ArgumentOutOfRangeException.ThrowIfNegative(JitterShare);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(JitterShare, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(Probes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Probes, MaxProbes);
        ArgumentOutOfRangeException.ThrowIfLessThan(SuccessesToClose, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(SuccessesToClose, MaxCount);
        ArgumentOutOfRangeException.ThrowIfLessThan(ProbeTimeMs, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ProbeTimeMs, MaxTimeMs);
    }
}
