using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>
/// A pool as all threads share it: its settings and the current snapshot of its workers and strategy, swapped by one volatile write.
/// A loop reads the snapshot anew for each request, so a worker that died is out of rotation before the next one is routed.
/// <para>
/// What requests are chosen by may change where it stands (<see cref="Apply"/>). When what guards the pool changes, another pool of the same name takes its place: requests
/// that were admitted by the old guards give their places back to these.
/// </para>
/// </summary>
public sealed class Pool
{
    private readonly Lock _publishing = new();
    private readonly int _loops;
    private WorkerSet _all = WorkerSet.Empty;
    private IReadOnlySet<Worker> _unfit = new HashSet<Worker>();
    private PoolOverlay _overlay = PoolOverlay.None;
    private PoolSettings _settings;
    private PoolSnapshot _snapshot;
    private Pool? _successor;

    /// <param name="settings">What the configuration says.</param>
    /// <param name="loops">How many loops serve it.</param>
    /// <param name="sticky">The cookie of its sessions, or null.</param>
    /// <param name="before">The pool whose place it takes, with whose workers and operator's changes it begins; or null.</param>
    public Pool(PoolSettings settings, int loops = 1, StickyCookie? sticky = null, Pool? before = null)
    {
        Sticky = sticky;
        InFlight = new InFlightCount(loops);
        Guards = new PoolGuards(settings, loops);
        _loops = loops;
        _settings = settings;
        _snapshot = new PoolSnapshot(WorkerSet.Empty, settings.Strategy, null);
        if (before is not null)
        {
            _overlay = before.Overlay;
            _all = new WorkerSet(
                before.Members.Ready.Select(w => w.Under(settings, w.Zone)),
                before.Members.Draining.Select(w => w.Under(settings, w.Zone)));
        }

        Swap(() => RenewReached(isSame: before is null));
    }

    /// <summary>What the configuration says of it. Any thread.</summary>
    public PoolSettings Settings => Volatile.Read(ref _settings);

    public string Name => Settings.Name;

    public StickyCookie? Sticky { get; }

    /// <summary>Requests and tunnels at its workers that have not ended.</summary>
    public InFlightCount InFlight { get; }

    public PoolGuards Guards { get; }

    public PoolSnapshot Snapshot => Volatile.Read(ref _snapshot);

    /// <summary>All workers as they were published last, those included that get nothing at present.</summary>
    public WorkerSet Members => Volatile.Read(ref _all);

    public WorkerSet Workers => Snapshot.Workers;

    /// <summary>What the operator has changed.</summary>
    public PoolOverlay Overlay => Volatile.Read(ref _overlay);

    /// <summary>Called on the publishing thread after each swap; the server tells its loops, which wake what waits.</summary>
    public Action<Pool>? Published { get; set; }

    /// <summary>Puts other workers in place of the present ones. Any thread but a loop's: tables take milliseconds to build.</summary>
    public void Publish(WorkerSet workers)
    {
        Pool? successor = null;
        Swap(() =>
        {
            Volatile.Write(ref _all, workers);
            successor = _successor;
        });
        successor?.Publish(successor.Own(workers));
    }

    /// <summary>
    /// From now on what is published here reaches <paramref name="successor"/> as well, which is given the present workers: until every loop and the fleet have gone over to it, requests are
    /// sent by either of the two, so a worker that leaves has to leave both. Null ends that. Any thread but a loop's.
    /// </summary>
    public void PassOnTo(Pool? successor)
    {
        lock (_publishing)
        {
            _successor = successor;
            successor?.Publish(successor.Own(_all));
        }
    }

    /// <summary>The pool's own object for this worker, which may come from the pool whose place it takes: the same counters, guarded as this pool's settings say.</summary>
    public Worker Own(Worker worker)
    {
        var members = Members;
        return members.Ready.Concat(members.Draining).FirstOrDefault(w => w.IsSameAs(worker)) ?? worker.Under(Settings, worker.Zone);
    }

    /// <summary>Keeps requests from these workers, as long as others can take them. Any thread but a loop's.</summary>
    public void Shun(IReadOnlySet<Worker> unfit) => Swap(() => _unfit = unfit);

    /// <summary>The operator changes something, from the next choice on. Any thread but a loop's.</summary>
    public void Change(Func<PoolOverlay, PoolOverlay> change) => Swap(() =>
    {
        Volatile.Write(ref _overlay, change(_overlay));
        RenewReached(isSame: true);
    });

    /// <summary>Whether these settings can take the place of the present ones without another pool.</summary>
    public static bool CanApply(PoolSettings present, PoolSettings next)
    {
        return next == present with
        {
            Strategy = next.Strategy,
            Timeouts = next.Timeouts,
            Fallback = next.Fallback,
            SlowStartMs = next.SlowStartMs,
            PanicShare = next.PanicShare,
            PipelineDepth = next.PipelineDepth,
            Acceleration = next.Acceleration,
            Reached = next.Reached,
        } && next.Reached.Count > 0 == present.Reached.Count > 0;
    }

    /// <summary>Other settings, of which <see cref="CanApply"/> is true, from the next choice on. Any thread but a loop's.</summary>
    public void Apply(PoolSettings next)
    {
        Invariant.That(CanApply(Settings, next), "what guards a pool does not change where it stands");
        if (next != Settings)
        {
            Swap(() =>
            {
                Volatile.Write(ref _settings, next);
                RenewReached(isSame: true);
            });
        }
    }

    private WorkerSet Own(WorkerSet workers) => new(workers.Ready.Select(Own), workers.Draining.Select(Own));

    private void RenewReached(bool isSame)
    {
        if (Settings.Reached.Count == 0)
        {
            return;
        }

        var wanted = Settings.Reached.Where(r => !_overlay.Removed.Contains(r.Endpoint)).Concat(_overlay.Added).DistinctBy(r => r.Endpoint).ToArray();

        // What was said of a worker that leaves is not meant for whoever gets its slot.
        var left = _all.Ready.Where(w => wanted.All(r => !r.Endpoint.Equals(w.Endpoint))).Select(w => w.Slot).ToArray();
        Volatile.Write(ref _overlay, _overlay.Without(left));
        Volatile.Write(ref _all, new WorkerSet(ReachedMembers.Renew(Name, _all.Ready, wanted, Settings, isSame, _loops), []));
    }

    private void Swap(Action change)
    {
        lock (_publishing)
        {
            change();
            foreach (var worker in _all.Ready.Concat(_all.Draining))
            {
                var weight = _overlay.Weights.GetValueOrDefault(worker.Slot, worker.ConfiguredWeight);
                if (worker.Weight != weight)
                {
                    worker.Weight = weight;
                }

                worker.Breaker?.Force(_overlay.Breakers.GetValueOrDefault(worker.Slot), _overlay.BreakersSinceMs);
            }

            Guards.Breaker?.Force(_overlay.PoolBreaker, _overlay.BreakersSinceMs);

            var strategy = _overlay.Strategy ?? Settings.Strategy;
            var workers = Switched().Without(_unfit, Settings.PanicShare);
            var needsTable = strategy.UsesTable || Settings.Sticky is { UsesTable: true };
            Volatile.Write(ref _snapshot, new PoolSnapshot(workers, strategy, needsTable ? new MaglevTable(workers.Ready) : null));
        }

        Published?.Invoke(this);
    }

    /// <summary>Without those that the operator has switched off.</summary>
    private WorkerSet Switched() => _overlay.Switches.IsEmpty ? _all : new WorkerSet(
        _all.Ready.Where(w => _overlay.SwitchOf(w.Slot) == WorkerSwitch.On),
        _all.Draining.Where(w => _overlay.SwitchOf(w.Slot) != WorkerSwitch.Off).Concat(_all.Ready.Where(w => _overlay.SwitchOf(w.Slot) == WorkerSwitch.Drain)));
}
