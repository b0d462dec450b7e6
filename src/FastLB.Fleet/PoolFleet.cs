using System.Collections;
using System.Globalization;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Linux;
using Microsoft.Extensions.Logging;

namespace FastLB.Fleet;

/// <summary>What all pools of a fleet share. Everything in it but <paramref name="Post"/> is for the fleet's thread.</summary>
/// <param name="Poller">Waits for the processes.</param>
/// <param name="Loops">The loops that send requests to the workers.</param>
/// <param name="Ports">The workers' TCP ports.</param>
/// <param name="SocketDirectory">Where the workers' unix sockets are; null when no pool has any.</param>
/// <param name="Mark">What every process of this run has in its environment.</param>
/// <param name="Environment">FastLB's own environment.</param>
/// <param name="Time">The clock.</param>
/// <param name="Logs">Makes a log for each worker.</param>
/// <param name="Log">The fleet's own.</param>
/// <param name="Post">Runs an action on the fleet's thread; from any thread.</param>
internal sealed record FleetResources(
    ProcessPoller Poller,
    IReadOnlyList<EventLoop> Loops,
    PortAllocator Ports,
    string? SocketDirectory,
    string Mark,
    IDictionary Environment,
    TimeProvider Time,
    ILoggerFactory Logs,
    ILogger Log,
    Action<Action> Post);

/// <summary>Performs what one pool's <see cref="Supervisor"/> decides, and tells it what happened. Only the fleet's thread calls it. What is told of its processes is in PoolFleet.Describing.cs.</summary>
internal sealed partial class PoolFleet
{
    private Pool _pool;
    private RunSettings _run;
    private readonly FleetResources _fleet;
    private readonly Supervisor _supervisor;
    private readonly WorkerLauncher _launcher;
    private readonly Dictionary<WorkerKey, RunningWorker> _running = [];
    private readonly List<RunningWorker> _draining = [];
    private readonly List<RunningWorker> _leaderless = [];
    private readonly Queue<(FleetEvent Event, RunningWorker? LastWordsOf)> _events = new();
    private readonly List<FleetEffect> _effects = [];
    private readonly Dictionary<int, (DateTimeOffset LastStart, ILogger Log)> _starts = [];
    private FleetEffect.Publish _published = new([], []);
    private readonly long _startTimestamp;
    private bool _telling;

    public PoolFleet(Pool pool, RunSettings run, FleetResources fleet, RandomSource random, int number = 0, int firstGeneration = 0)
    {
        ArgumentOutOfRangeException.ThrowIfZero(run.Command.Count);
        _pool = pool;
        _run = run;
        _fleet = fleet;
        _supervisor = new Supervisor(run, random, firstGeneration);
        _launcher = new WorkerLauncher(pool.Name, run, fleet, number);
        _startTimestamp = fleet.Time.GetTimestamp();
    }

    public string PoolName => _pool.Name;

    /// <summary>No process of the pool is left and none will come.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Whether anything happened since this was last set to false.</summary>
    public bool HasChanged { get; set; }

    /// <summary>Whether something goes on that nobody reports, so that <see cref="Tick"/> has to look at it every few milliseconds:
    /// requests in flight on a draining worker, or what a stopping worker's leader left behind in its process group.</summary>
    public bool NeedsLooking => _draining.Count > 0 || _leaderless.Count > 0;

    /// <summary>Milliseconds until <see cref="Tick"/> is due, at least 0.</summary>
    public long MillisecondsToNext => _supervisor.NextDeadlineMs == long.MaxValue ? long.MaxValue : Math.Max(0, _supervisor.NextDeadlineMs - NowMs);

    private long NowMs => (long)_fleet.Time.GetElapsedTime(_startTimestamp).TotalMilliseconds;

    public void Start() => Tell(new FleetEvent.Start());

    /// <summary>The greatest generation that a process of this pool has had.</summary>
    public int LastGeneration { get; private set; }

    /// <summary>
    /// The pool is run otherwise, or another object stands for it, whose settings are others: what is ready is published there, as new workers that go on
    /// with the counts of the old ones, and nobody's request is disturbed.
    /// </summary>
    /// <param name="pool">Where what is ready is published.</param>
    /// <param name="run">How its processes are run from now on.</param>
    /// <param name="triesAgain">Whether what a rolling restart that stopped has left behind is replaced, though nothing says otherwise than before.</param>
    public void Use(Pool pool, RunSettings run, bool triesAgain)
    {
        var isOther = !run.StartsTheSameAs(_run);

        // What counts then is what runs: a process that was left behind may be right again. A slot that waits for its restart need not, because the command is another one.
        var mustReplace = _supervisor.IsRolling
            ? isOther
            : (isOther || triesAgain) && _supervisor.Slots.Any(slot => !slot.IsSurplus && (slot.Serving is null ? isOther : IsBehind(slot, run)));
        _run = run;
        if (isOther || triesAgain)
        {
            _launcher.Run = run;
        }

        if (!ReferenceEquals(pool, _pool))
        {
            var before = _pool;
            _pool = pool;
            foreach (var worker in _running.Values)
            {
                worker.Worker = pool.Own(worker.Worker);
            }

            Perform(_published);
            before.PassOnTo(null);
        }

        Tell(new FleetEvent.Changed(run, mustReplace));
    }

    /// <summary>The pool is not wanted any more.</summary>
    public void Retire()
    {
        IsRetiring = true;
        Tell(new FleetEvent.Retire());
    }

    public bool IsRetiring { get; private set; }

    public void RestartRolling()
    {
        _launcher.Run = _run;
        Tell(new FleetEvent.RestartRolling());
    }

    public void Stop(bool atOnce) => Tell(atOnce ? new FleetEvent.StopAtOnce() : new FleetEvent.Stop());

    /// <summary>Looks at deadlines, draining workers and groups that have lost their leader.</summary>
    public void Tick()
    {
        for (var i = _leaderless.Count - 1; i >= 0; i--)
        {
            OnExited(_leaderless[i]);
        }

        for (var i = _draining.Count - 1; i >= 0; i--)
        {
            var worker = _draining[i];
            if (worker.Worker.InFlight == 0)
            {
                _draining.RemoveAt(i);
                Tell(new FleetEvent.Drained(worker.Key.Slot, worker.Key.Generation));
            }
        }

        if (MillisecondsToNext == 0)
        {
            Tell(new FleetEvent.Tick());
        }
    }

    /// <summary>The worker's process has exited, as the poller says, or what it left behind may have.</summary>
    public void OnExited(RunningWorker worker)
    {
        if (!worker.Child.Reap())
        {
            if (worker.Child.Exit is not null && !_leaderless.Contains(worker))
            {
                // The rest of the group has what is left of killTimeout. Its leader would be reported in every turn from now on.
                _fleet.Poller.Forget(worker.Child);
                _leaderless.Add(worker);
            }

            return;
        }

        Invariant.That(_running.Remove(worker.Key), "a worker exits once");
        Tell(new FleetEvent.Exited(worker.Key.Slot, worker.Key.Generation, worker.Child.Exit.ToString()!), worker);
        Release(worker);

        // What left the process group but belongs to this worker goes too. It is a walk over /proc, so not on this thread.
        var signature = WorkerEnvironment.Signature(_run, worker.Key.Slot, worker.Key.Generation, _fleet.Mark);
        ThreadPool.UnsafeQueueUserWorkItem(_ => KillMarked(worker.Key.Slot, signature), null);
    }

    private void KillMarked(int slot, IReadOnlyList<string> signature)
    {
        var result = MarkedProcesses.Kill(signature);
        if (result < 0)
        {
            FleetLog.Warning(
                _fleet.Log,
                NameOf(slot),
                $"may have left processes outside its process group that could not be looked for: {SystemError.Describe(-result)}. They go when FastLB stops");
        }
    }

    /// <summary>The fleet ends: processes that the supervisor gave up are let go.</summary>
    public void Abandon()
    {
        foreach (var worker in _running.Values)
        {
            Release(worker);
        }

        _running.Clear();
    }

    /// <summary>Tells the supervisor, performs what it wants, and goes on with what that brought about.</summary>
    private void Tell(FleetEvent occurred, RunningWorker? lastWordsOf = null)
    {
        _events.Enqueue((occurred, lastWordsOf));
        if (_telling)
        {
            return;
        }

        _telling = true;
        HasChanged = true;
        while (_events.TryDequeue(out var next))
        {
            _effects.Clear();
            _supervisor.Handle(next.Event, NowMs, _effects);
            foreach (var effect in _effects)
            {
                // Routing away from a dead worker comes first; what it said before it died comes before what is said about it.
                if (effect is not FleetEffect.Publish && next.LastWordsOf is { } worker)
                {
                    worker.ReadLastWords();
                    next.LastWordsOf = null;
                }

                PerformGuarded(effect);
            }

            next.LastWordsOf?.ReadLastWords();
        }

        _telling = false;
    }

    /// <summary>
    /// The last guard: what nobody thought of costs one worker one effect, and not the thread and with it the fleet. A violated
    /// invariant is no such thing and ends the process. The supervisor's deadlines take care of what did not happen.
    /// </summary>
    private void PerformGuarded(FleetEffect effect)
    {
        try
        {
            Perform(effect);
        }
        catch (Exception e) when (e is not InvariantViolatedException)
        {
            Log(Severity.Error, SlotOf(effect) is { } slot ? NameOf(slot) : PoolName, $"{effect.GetType().Name.ToLowerInvariant()} failed unexpectedly, please report this: {e}");
            if (effect is FleetEffect.Spawn(var unanswered, var generation))
            {
                Tell(_running.ContainsKey(new WorkerKey(unanswered, generation))
                    ? new FleetEvent.Spawned(unanswered, generation)
                    : new FleetEvent.SpawnFailed(unanswered, generation, e.Message));
            }
        }
    }

    private static int? SlotOf(FleetEffect effect) => effect switch
    {
        FleetEffect.Spawn(var slot, _) => slot,
        FleetEffect.Probe(var slot, _) => slot,
        FleetEffect.Announce(var slot, _, _) => slot,
        FleetEffect.WatchDrained(var slot, _) => slot,
        FleetEffect.Terminate(var slot, _) => slot,
        FleetEffect.Kill(var slot, _) => slot,
        _ => null,
    };

    private void Perform(FleetEffect effect)
    {
        switch (effect)
        {
            case FleetEffect.Publish(var ready, var draining) publish:
                _published = publish;
                _pool.Publish(new WorkerSet(ready.Select(key => _running[key].Worker), draining.Select(key => _running[key].Worker)));
                break;
            case FleetEffect.Spawn(var slot, var generation):
                Spawn(new WorkerKey(slot, generation));
                break;
            case FleetEffect.Probe(var slot, var generation):
                var probed = _running[new WorkerKey(slot, generation)];
                probed.Probe = new ReadyProbe(probed.Endpoint, _fleet.Time, () => _fleet.Post(() => OnAnswered(probed)));
                break;
            case FleetEffect.Announce(var slot, var generation, var afterMs):
                var announced = _running[new WorkerKey(slot, generation)];
                FleetLog.Ready(_fleet.Log, NameOf(slot), generation, announced.Endpoint.ToString(), afterMs, announced.Child.Pid);
                break;
            case FleetEffect.WatchDrained(var slot, var generation):
                var drained = _running[new WorkerKey(slot, generation)];
                LoopBarrier.Pass(_fleet.Loops, () => _fleet.Post(() => OnBarrierPassed(drained)));
                break;
            case FleetEffect.Terminate(var slot, var generation):
                _running[new WorkerKey(slot, generation)].Child.Terminate();
                break;
            case FleetEffect.Kill(var slot, var generation):
                _running[new WorkerKey(slot, generation)].Child.Kill();
                break;
            case FleetEffect.FallBack:
                _launcher.Run = _supervisor.Slots.Select(ServesBy).FirstOrDefault(run => run?.StartsTheSameAs(_run) == false) ?? _run;
                break;
            case FleetEffect.Log(var severity, var slot, var sentence):
                Log(severity, slot is { } index ? NameOf(index) : PoolName, sentence);
                break;
            case FleetEffect.Stopped:
                IsStopped = true;
                break;
        }
    }

    private void Spawn(WorkerKey key)
    {
        var log = _starts.TryGetValue(key.Slot, out var before) ? before.Log : _fleet.Logs.CreateLogger(NameOf(key.Slot));
        _starts[key.Slot] = (_fleet.Time.GetUtcNow(), log);
        LastGeneration = Math.Max(LastGeneration, key.Generation);
        if (_launcher.TryLaunch(key, out var problem) is not var (child, endpoint))
        {
            Tell(new FleetEvent.SpawnFailed(key.Slot, key.Generation, problem));
            return;
        }

        var worker = new Worker(PoolName, key.Slot, key.Generation, endpoint, _fleet.Loops.Count, settings: _pool.Settings);
        var running = new RunningWorker(this, key, _launcher.Run, worker, child, _starts[key.Slot].LastStart, log);
        running.Watch(_fleet.Poller);
        _running.Add(key, running);
        Tell(new FleetEvent.Spawned(key.Slot, key.Generation));
    }

    private void Release(RunningWorker worker)
    {
        _draining.Remove(worker);
        _leaderless.Remove(worker);
        worker.Close(_fleet.Poller);
        _launcher.Release(worker.Endpoint);
    }

    private void OnAnswered(RunningWorker worker)
    {
        // Should the process be dead by now, something else answered, or it did so for the last time.
        if (_running.ContainsKey(worker.Key) && !worker.Child.IsReadable)
        {
            Tell(new FleetEvent.Answered(worker.Key.Slot, worker.Key.Generation));
        }
    }

    private void OnBarrierPassed(RunningWorker worker)
    {
        if (_running.ContainsKey(worker.Key))
        {
            _draining.Add(worker);
        }
    }

    private string NameOf(int slot) => string.Create(CultureInfo.InvariantCulture, $"{PoolName}/{slot}");

    private void Log(Severity severity, string subject, string sentence)
    {
        switch (severity)
        {
            case Severity.Information:
                FleetLog.Information(_fleet.Log, subject, sentence);
                break;
            case Severity.Warning:
                FleetLog.Warning(_fleet.Log, subject, sentence);
                break;
            case Severity.Error:
                FleetLog.Error(_fleet.Log, subject, sentence);
                break;
        }
    }
}
