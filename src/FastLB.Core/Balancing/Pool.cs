namespace FastLB.Core.Balancing;

/// <summary>
/// A pool as all threads share it: immutable settings and the current snapshot of its workers, which one publisher (the
/// fleet, or the start for reached workers) swaps by one volatile write. A loop reads the snapshot anew for each request, so a
/// worker that died is out of rotation before the next one is routed.
/// </summary>
public sealed class Pool(PoolSettings settings, int index)
{
    private WorkerSet _workers = WorkerSet.Empty;

    public PoolSettings Settings { get; } = settings;

    public string Name => Settings.Name;

    /// <summary>The pool's number, from 0. Loops find their own part of the pool by it.</summary>
    public int Index { get; } = index;

    public WorkerSet Workers => Volatile.Read(ref _workers);

    /// <summary>Called on the publishing thread after each swap; the server tells its loops, which wake what waits.</summary>
    public Action<Pool>? Published { get; set; }

    public void Publish(WorkerSet workers)
    {
        Volatile.Write(ref _workers, workers);
        Published?.Invoke(this);
    }
}
