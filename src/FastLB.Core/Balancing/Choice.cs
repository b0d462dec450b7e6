using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>Everything that a strategy is told about one choice. Lives for the call.</summary>
public readonly ref struct Choice
{
    /// <summary>Those that may be chosen, never empty: all ready workers of the pool, or those of them that are not out just now.</summary>
    public required ReadOnlySpan<Worker> Workers { get; init; }

    /// <summary>The loop's.</summary>
    public required RandomSource Random { get; init; }

    /// <summary>The loop's number.</summary>
    public required int Loop { get; init; }

    /// <summary>The loop's clock.</summary>
    public required long NowMs { get; init; }

    /// <summary>A hash of what the pool's <see cref="KeySource"/> says of the request, well mixed in all bits. 0 when the strategy asks for none.</summary>
    public ulong Key { get; init; }

    /// <summary>The number of the client's zone, or -1 when it is in none or the strategy does not ask.</summary>
    public int Zone { get; init; }

    /// <summary>The pool's table, for strategies that asked for one (<see cref="StrategyPlan.UsesTable"/>), otherwise null.</summary>
    public MaglevTable? Table { get; init; }

    /// <summary>Requests of the whole pool that have not ended, as this loop sees them. Costs nothing to ask.</summary>
    public long PoolInFlight { get; init; }
}
