namespace FastLB.Core.Resilience;

/// <summary>A configured breaker: the circuit itself, and which rates of the last seconds open it besides failures in a row. Immutable.</summary>
/// <param name="Circuit">Failures in a row, open times and probes.</param>
public sealed record BreakerPlan(BreakerSettings Circuit)
{
    /// <summary>What of the last seconds opens it.</summary>
    public BreakerWindowSettings Window { get; init; } = new();

    /// <summary>From how long on an answer counts as slow, in milliseconds; 0: none does.</summary>
    public int SlowAfterMs { get; init; }
}
