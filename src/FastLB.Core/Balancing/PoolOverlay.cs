using System.Collections.Immutable;
using FastLB.Core.Resilience;

namespace FastLB.Core.Balancing;

/// <summary>Whether a worker takes requests, as far as the operator has a say in it.</summary>
public enum WorkerSwitch
{
    On,

    /// <summary>It keeps the sessions that it has and gets no new ones.</summary>
    Drain,

    /// <summary>It gets nothing.</summary>
    Off,
}

/// <summary>
/// What an operator has changed of a pool while it runs, over what the configuration says: immutable, and kept when the configuration is read anew, unless
/// that is asked to start afresh. Slots are those of the pool.
/// </summary>
public sealed record PoolOverlay
{
    public static PoolOverlay None { get; } = new();

    /// <summary>Instead of the configured one, or null.</summary>
    public StrategyPlan? Strategy { get; init; }

    public ImmutableDictionary<int, int> Weights { get; init; } = ImmutableDictionary<int, int>.Empty;

    /// <summary>Those that are not on.</summary>
    public ImmutableDictionary<int, WorkerSwitch> Switches { get; init; } = ImmutableDictionary<int, WorkerSwitch>.Empty;

    /// <summary>Workers' breakers that are forced, by slot: a process that comes into the slot later finds its breaker so.</summary>
    public ImmutableDictionary<int, BreakerForce> Breakers { get; init; } = ImmutableDictionary<int, BreakerForce>.Empty;

    /// <summary>The same for the pool's own breaker.</summary>
    public BreakerForce PoolBreaker { get; init; }

    /// <summary>When the operator spoke of a breaker last, in the loops' milliseconds.</summary>
    public long BreakersSinceMs { get; init; }

    /// <summary>Workers that are reached besides the configured ones.</summary>
    public ImmutableList<ReachedWorker> Added { get; init; } = [];

    /// <summary>Addresses that are configured and not to be used.</summary>
    public ImmutableHashSet<Loop.Endpoint> Removed { get; init; } = [];

    public bool IsNone => Strategy is null && Weights.IsEmpty && Switches.IsEmpty && Breakers.IsEmpty && PoolBreaker == BreakerForce.None && Added.IsEmpty && Removed.IsEmpty;

    public WorkerSwitch SwitchOf(int slot) => Switches.GetValueOrDefault(slot, WorkerSwitch.On);

    public PoolOverlay WithSwitch(int slot, WorkerSwitch state) =>
        this with { Switches = state == WorkerSwitch.On ? Switches.Remove(slot) : Switches.SetItem(slot, state) };

    /// <param name="slot">The worker; null: the pool's own breaker.</param>
    public PoolOverlay WithBreaker(int? slot, BreakerForce force, long nowMs) => this with
    {
        Breakers = slot is not { } worker ? Breakers : force == BreakerForce.None ? Breakers.Remove(worker) : Breakers.SetItem(worker, force),
        PoolBreaker = slot is null ? force : PoolBreaker,
        BreakersSinceMs = nowMs,
    };

    /// <summary>What is said of these slots is said no more.</summary>
    public PoolOverlay Without(IReadOnlyCollection<int> slots) => slots.Count == 0
        ? this
        : this with { Switches = Switches.RemoveRange(slots), Weights = Weights.RemoveRange(slots), Breakers = Breakers.RemoveRange(slots) };
}
