namespace FastLB.Core.Balancing;

/// <summary>
/// A pool as all threads share it: immutable settings and the current snapshot of its workers and strategy, swapped by one volatile write.
/// A loop reads the snapshot anew for each request, so a worker that died is out of rotation before the next one is routed.
/// </summary>
public sealed class Pool
{
    private readonly Lock _publishing = new();
    private WorkerSet _all = WorkerSet.Empty;
    private IReadOnlySet<Worker> _unfit = new HashSet<Worker>();
    private StrategyPlan _strategy;
    private readonly Dictionary<int, int> _weights = [];
    private PoolSnapshot _snapshot;

    /// <param name="settings">What the configuration says.</param>
    /// <param name="loops">How many loops serve it.</param>
    /// <param name="sticky">The cookie of its sessions, or null.</param>
    public Pool(PoolSettings settings, int loops = 1, StickyCookie? sticky = null)
    {
        Sticky = sticky;
        InFlight = new InFlightCount(loops);
        Guards = new PoolGuards(settings, loops);
        Settings = settings;
        _strategy = settings.Strategy;
        _snapshot = new PoolSnapshot(WorkerSet.Empty, settings.Strategy, null);
    }

    public PoolSettings Settings { get; }

    public string Name => Settings.Name;

    public StickyCookie? Sticky { get; }

    /// <summary>Requests and tunnels at its workers that have not ended.</summary>
    public InFlightCount InFlight { get; }

    public PoolGuards Guards { get; }

    public PoolSnapshot Snapshot => Volatile.Read(ref _snapshot);

    /// <summary>All workers as they were published last, those included that get nothing at present.</summary>
    public WorkerSet Members => Volatile.Read(ref _all);

    public WorkerSet Workers => Snapshot.Workers;

    /// <summary>Called on the publishing thread after each swap; the server tells its loops, which wake what waits.</summary>
    public Action<Pool>? Published { get; set; }

    /// <summary>Puts other workers in place of the present ones. Any thread but a loop's: tables take milliseconds to build.</summary>
    public void Publish(WorkerSet workers) => Swap(() =>
    {
        // A slot keeps the weight that it was given when its process is replaced.
        foreach (var worker in workers.Ready.Concat(workers.Draining))
        {
            if (_weights.TryGetValue(worker.Slot, out var weight))
            {
                worker.Weight = weight;
            }
        }

        Volatile.Write(ref _all, workers);
    });

    /// <summary>Chooses by another strategy from the next request on. Any thread but a loop's.</summary>
    public void Use(StrategyPlan strategy) => Swap(() => _strategy = strategy);

    /// <summary>Keeps requests from these workers, as long as others can take them. Any thread but a loop's.</summary>
    public void Shun(IReadOnlySet<Worker> unfit) => Swap(() => _unfit = unfit);

    /// <summary>Changes a worker's weight. False when there is no such slot. Any thread but a loop's.</summary>
    public bool TrySetWeight(int slot, int weight)
    {
        var isThere = false;
        Swap(() =>
        {
            foreach (var worker in _all.Ready.Concat(_all.Draining).Where(w => w.Slot == slot))
            {
                worker.Weight = weight;
                _weights[slot] = weight;
                isThere = true;
            }
        });
        return isThere;
    }

    private void Swap(Action change)
    {
        lock (_publishing)
        {
            change();
            var workers = _all.Without(_unfit, Settings.PanicShare);
            var needsTable = _strategy.UsesTable || Settings.Sticky is { UsesTable: true };
            Volatile.Write(ref _snapshot, new PoolSnapshot(workers, _strategy, needsTable ? new MaglevTable(workers.Ready) : null));
        }

        Published?.Invoke(this);
    }
}
