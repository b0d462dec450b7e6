using System.Collections.Immutable;

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

    /// <summary>Workers that are reached besides the configured ones.</summary>
    public ImmutableList<ReachedWorker> Added { get; init; } = [];

    /// <summary>Addresses that are configured and not to be used.</summary>
    public ImmutableHashSet<Loop.Endpoint> Removed { get; init; } = [];

    public bool IsNone => Strategy is null && Weights.IsEmpty && Switches.IsEmpty && Added.IsEmpty && Removed.IsEmpty;

    public WorkerSwitch SwitchOf(int slot) => Switches.GetValueOrDefault(slot, WorkerSwitch.On);

    public PoolOverlay WithSwitch(int slot, WorkerSwitch state) =>
        this with { Switches = state == WorkerSwitch.On ? Switches.Remove(slot) : Switches.SetItem(slot, state) };
}
