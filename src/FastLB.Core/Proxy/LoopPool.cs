using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>
/// One loop's part of a pool: its connections to each worker, its strategy, its retry budget, and the requests that wait for a
/// worker. Looks at the pool's snapshot before each choice, so a worker that left is never chosen. Who may have
/// a place, and who waits for one, is in LoopPool.Queue.cs.
/// </summary>
public sealed partial class LoopPool : OwnCacheLines
{
    /// <summary>Even the newest worker gets a request now and then, so that it is known to work.</summary>
    private const double MaxPassedOver = 0.95;

    /// <summary>How many entries of the table are looked at for a session whose workers are out, per worker.</summary>
    private const int StepsPerWorker = 16;

    private readonly ProxyLoop _proxy;
    private Strategy _strategy;
    private PoolSnapshot _seen;
    private UpstreamPool[] _upstreams = [];
    private UpstreamPool?[] _bySlot = [];
    private Worker[] _candidates = [];
    private long _rampEndsMs = long.MinValue;

    /// <param name="proxy">The loop's.</param>
    /// <param name="pool">The whole pool.</param>
    /// <param name="before">The loop's part of the pool whose place it takes, and whose counts go on; or null.</param>
    internal LoopPool(ProxyLoop proxy, Pool pool, LoopPool? before = null)
    {
        _proxy = proxy;
        Counters = before?.Counters ?? new PoolCounters();
        Counters.Current = this;
        Pool = pool;
        NameBytes = System.Text.Encoding.UTF8.GetBytes(pool.Name);
        _seen = new PoolSnapshot(WorkerSet.Empty, pool.Settings.Strategy, null);
        _strategy = _seen.Strategy.Create();
        Budget = new RetryBudget(proxy.Loop.NowMs, pool.Settings.Retries.BudgetShare);
        Queue = new WaitingLine<ClientConnection>(pool.Settings.Queue.Length);
        _serveLater = new ServeWork(this);
        _limitsConnections = pool.Settings.Limits is { WorkerConnections: > 0 } or { Connections: > 0 };
        pool.Guards.Waiters.Register(proxy.Loop.Index, ServeLater);
    }

    public Pool Pool { get; }

    /// <summary>The pool's name, as logs have it.</summary>
    internal byte[] NameBytes { get; }

    public StickyCookie? Sticky => Pool.Sticky;

    /// <summary>The strategy in use.</summary>
    internal StrategyPlan Strategy => _seen.Strategy;

    /// <summary>Whether no request of the pool belongs to one worker rather than another.</summary>
    internal bool MayGoAnywhere => Pool.Settings.Sticky is null && !_seen.Strategy.UsesKey;

    public Timeouts Timeouts => Pool.Settings.Timeouts;

    public RetryBudget Budget { get; }

    public WaitingLine<ClientConnection> Queue { get; }

    /// <summary>How many workers take new requests, as of the last choice.</summary>
    internal int ReadyCount => _seen.Workers.Ready.Length;

    public PoolCounters Counters { get; }

    /// <summary>The part that takes new requests instead of this one: itself until another pool has taken its pool's place.</summary>
    internal LoopPool Current => Counters.Current!;

    /// <summary>The pool that serves when this one cannot, or null.</summary>
    internal LoopPool? Fallback { get; set; }

    /// <summary>Why the strategy does what it does at present; null when there is nothing to explain. Any thread.</summary>
    public string? StrategyReason => Volatile.Read(ref _strategy).Reason;

    /// <summary>
    /// A worker for a request: the one that its session names while that one is there, otherwise one of the strategy's choice.
    /// <paramref name="tried"/>, which has failed this request already, is avoided while there is another. Null when the pool has none.
    /// </summary>
    public UpstreamPool? Pick(in Affinity affinity, Worker? tried)
    {
        Refresh();
        var now = _proxy.Loop.NowMs;
        if ((uint)affinity.Slot < (uint)_bySlot.Length && _bySlot[affinity.Slot] is { } kept && IsGood(kept, tried, now))
        {
            return kept;
        }

        var ready = _seen.Workers.Ready;
        if (ready.Length == 0)
        {
            return null;
        }

        if (affinity.Session != 0 && _seen.Table is not null && PickOfSession(affinity.Session, tried, now) is { } own)
        {
            return own;
        }

        var choice = _upstreams[_strategy.Pick(ChoiceAmong(ready, affinity, now))];
        if (_rampEndsMs > now && tried is null && IsTooNew(choice, now) && PickAmongTheRest(affinity, now, choice.Worker) is { } grown)
        {
            choice = grown;
        }

        return IsGood(choice, tried, now) ? choice : PickAmongTheRest(affinity, now, tried) ?? (choice.MayTake(now) ? choice : null);
    }

    private static bool IsGood(UpstreamPool upstream, Worker? tried, long now) =>
        !upstream.IsOut(now) && !upstream.Worker.IsSameAs(tried) && upstream.MayTake(now);

    /// <summary>
    /// Whether a worker in its slow start is passed over this time: with a chance that falls from one to nothing while it grows into its share. It
    /// works alike with every strategy. Never all of them: a pool of new workers only has no old one to spare them.
    /// </summary>
    private bool IsTooNew(UpstreamPool upstream, long now)
    {
        var age = now - upstream.JoinedMs;
        var rampMs = Pool.Settings.SlowStartMs;
        return age < rampMs && !_seen.Strategy.UsesKey && _proxy.Loop.Random.Chance(Math.Min(1 - ((double)age / rampMs), MaxPassedOver));
    }

    /// <summary>The first good worker from the session's place in the table on, so that a worker that is out moves only its own sessions.</summary>
    private UpstreamPool? PickOfSession(ulong session, Worker? tried, long now)
    {
        var table = _seen.Table!;
        var position = table.PositionOf(session);
        // Each entry is some worker's with a chance of its share, so that after so many all have been asked but for bad luck; then the strategy has its say.
        var steps = Math.Min(table.Size, StepsPerWorker * _seen.Workers.Ready.Length);
        for (var step = 0; step < steps; step++)
        {
            var upstream = _upstreams[table.At(position)];
            if (IsGood(upstream, tried, now))
            {
                return upstream;
            }

            position = table.After(position);
        }

        return null;
    }

    private Choice ChoiceAmong(ReadOnlySpan<Worker> workers, in Affinity affinity, long now) => new()
    {
        Workers = workers,
        Random = _proxy.Loop.Random,
        Loop = _proxy.Loop.Index,
        NowMs = now,
        Key = affinity.Key,
        Zone = affinity.Zone,
        Table = _seen.Table,
        PoolInFlight = Pool.InFlight.SeenBy(_proxy.Loop.Index, now),
    };

    /// <summary>Whether a worker that was chosen before may still be sent a request.</summary>
    internal bool IsServing(UpstreamPool upstream)
    {
        Refresh();

        // Nobody tells a part of who comes and goes once another pool has taken its pool's place.
        return ReferenceEquals(Current, this) && Array.IndexOf(_upstreams, upstream) >= 0 && !upstream.IsOut(_proxy.Loop.NowMs);
    }

    /// <summary>Whether there is a worker besides <paramref name="tried"/> that is not out, or none is known any more.</summary>
    public bool CanPickOther(Worker tried)
    {
        Refresh();
        var ready = _seen.Workers.Ready;
        for (var i = 0; i < ready.Length; i++)
        {
            if (!ready[i].IsSameAs(tried) && !_upstreams[i].IsOut(_proxy.Loop.NowMs))
            {
                return true;
            }
        }

        return ready.Length == 0;
    }

    /// <summary>Takes over the pool's present snapshot: retires what left, and lets requests go that waited for a worker.</summary>
    public void Refresh()
    {
        var current = Pool.Snapshot;
        if (!ReferenceEquals(current, _seen))
        {
            TakeOver(current);
        }
    }

    /// <summary>Apart from <see cref="Refresh"/>, which is called per request, because its closures allocate.</summary>
    private void TakeOver(PoolSnapshot snapshot)
    {
        if (!ReferenceEquals(snapshot.Strategy, _seen.Strategy))
        {
            Volatile.Write(ref _strategy, snapshot.Strategy.Create());
        }

        if (ReferenceEquals(snapshot.Workers, _seen.Workers))
        {
            _seen = snapshot;
            return;
        }

        var current = snapshot.Workers;
        var before = _upstreams;
        Worker[] workers = [.. current.Ready, .. current.Draining];
        _upstreams = [.. workers.Select(w => Array.Find(before, u => ReferenceEquals(u.Worker, w)) ?? new UpstreamPool(this, _proxy, w))];
        _candidates = new Worker[current.Ready.Length];
        _bySlot = new UpstreamPool?[workers.Select(w => w.Slot + 1).DefaultIfEmpty(0).Max()];
        foreach (var upstream in _upstreams)
        {
            // A slot with two generations is the ready one's; ready workers come first in the array.
            _bySlot[upstream.Worker.Slot] ??= upstream;
        }

        _rampEndsMs = RampEndOf(current.Ready.Length);
        var drainingBefore = _seen.Workers.Draining;
        _seen = snapshot;
        TellDraining(current, drainingBefore);
        foreach (var upstream in before)
        {
            if (Array.IndexOf(_upstreams, upstream) < 0)
            {
                upstream.Retire();
            }
        }
    }

    /// <summary>
    /// The pool is no longer configured, or another one has taken its place: what runs here ends here, connections that idle go, and what waits for a worker waits for one of the
    /// successor's.
    /// </summary>
    internal void Retire(LoopPool? successor)
    {
        foreach (var upstream in _upstreams)
        {
            upstream.Retire();
        }

        if (successor is null)
        {
            return;
        }

        for (var left = Queue.Length; left > 0 && Queue.TryLeave() is { } connection; left--)
        {
            connection.OnPoolReplaced(successor);
        }

        successor.ServeLater();
    }

    /// <summary>
    /// WebSockets at workers that have begun to drain are told to come back. Not where a cookie of theirs would bring them to the same worker again: it has no
    /// successor in its slot then, and keeps its sessions.
    /// </summary>
    private void TellDraining(WorkerSet current, Worker[] drainingBefore)
    {
        foreach (var worker in current.Draining)
        {
            if (Array.IndexOf(drainingBefore, worker) < 0 && Counters.Tunnels.Open > 0 && (Sticky is null || Array.Exists(current.Ready, w => w.Slot == worker.Slot)))
            {
                _proxy.OnWorkerDrains(worker, HttpExchange.GoodbyeWindowMs(Timeouts));
            }
        }
    }

    /// <summary>When the last worker has grown into its share; never, when all of them are new together and so have equal shares.</summary>
    private long RampEndOf(int ready)
    {
        var rampMs = Pool.Settings.SlowStartMs;
        if (rampMs == 0 || ready < 2)
        {
            return long.MinValue;
        }

        var upstreams = _upstreams.Take(ready).ToArray();
        var last = upstreams.Max(u => u.JoinedMs);
        return last - upstreams.Min(u => u.JoinedMs) > rampMs / 10 ? last + rampMs : long.MinValue;
    }

    /// <summary>The strategy's choice was no good: it chooses again among those that are. Never leaves the pool without any.</summary>
    private UpstreamPool? PickAmongTheRest(in Affinity affinity, long now, Worker? tried)
    {
        // When all are out, one that was not tried is worth more than one that just failed.
        var count = CollectCandidates(now, tried, evenOut: false);
        if (count == 0)
        {
            count = CollectCandidates(now, tried, evenOut: true);
        }

        if (count == 0)
        {
            return null;
        }

        var chosen = _candidates[_strategy.Pick(ChoiceAmong(_candidates.AsSpan(0, count), affinity, now))];
        return _upstreams[Array.IndexOf(_seen.Workers.Ready, chosen)];
    }

    private int CollectCandidates(long now, Worker? tried, bool evenOut)
    {
        var count = 0;
        var ready = _seen.Workers.Ready;
        for (var i = 0; i < ready.Length; i++)
        {
            if ((evenOut || !_upstreams[i].IsOut(now)) && !ready[i].IsSameAs(tried) && _upstreams[i].MayTake(now))
            {
                _candidates[count++] = ready[i];
            }
        }

        return count;
    }
}
