namespace FastLB.Core.Balancing;

/// <summary>
/// A pool as all threads share it: immutable settings and the current snapshot of its workers and strategy, swapped by one volatile write.
/// A loop reads the snapshot anew for each request, so a worker that died is out of rotation before the next one is routed.
/// </summary>
public sealed class Pool
{
    private readonly Lock _publishing = new();
    private PoolSnapshot _snapshot;

    /// <param name="loops">How many loops serve it.</param>
    public Pool(PoolSettings settings, int index, int loops = 1)
    {
        InFlight = new InFlightCount(loops);
        Settings = settings;
        Index = index;
        _snapshot = new PoolSnapshot(WorkerSet.Empty, settings.Strategy, null);
    }

    public PoolSettings Settings { get; }

    public string Name => Settings.Name;

    /// <summary>The pool's number, from 0. Loops find their own part of the pool by it.</summary>
    public int Index { get; }

    /// <summary>Requests and tunnels at its workers that have not ended.</summary>
    public InFlightCount InFlight { get; }

    public PoolSnapshot Snapshot => Volatile.Read(ref _snapshot);

    public WorkerSet Workers => Snapshot.Workers;

    /// <summary>Called on the publishing thread after each swap; the server tells its loops, which wake what waits.</summary>
    public Action<Pool>? Published { get; set; }

    /// <summary>Puts other workers in place of the present ones. Any thread but a loop's: tables take milliseconds to build.</summary>
    public void Publish(WorkerSet workers) => Swap(before => (workers, before.Strategy));

    /// <summary>Chooses by another strategy from the next request on. Any thread but a loop's.</summary>
    public void Use(StrategyPlan strategy) => Swap(before => (before.Workers, strategy));

    /// <summary>Builds the table anew, because weights have changed.</summary>
    public void Rebuild() => Swap(before => (before.Workers, before.Strategy with { }));

    private void Swap(Func<PoolSnapshot, (WorkerSet Workers, StrategyPlan Strategy)> change)
    {
        lock (_publishing)
        {
            var (workers, strategy) = change(_snapshot);
            var table = strategy.UsesTable || Settings.Sticky is { UsesTable: true } ? new MaglevTable(workers.Ready) : null;
            Volatile.Write(ref _snapshot, new PoolSnapshot(workers, strategy, table));
        }

        Published?.Invoke(this);
    }
}
