using System.Collections.Concurrent;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Routing;
using FastLB.Fleet;
using FastLB.Linux;

namespace FastLB;

/// <summary>What came of a reload, for the one who asked for it.</summary>
/// <param name="IsDone">False: nothing has changed.</param>
/// <param name="Text">What has changed, or why not.</param>
public sealed record ReloadResult(bool IsDone, string Text)
{
    /// <summary>Whether a watched file that says the same may be tried again by itself: not where each try starts processes.</summary>
    public bool IsCheapToTry { get; init; } = true;
}

/// <summary>
/// How a running FastLB gets another configuration, without a request noticing:
/// <list type="number">
/// <item>the new configuration has been read and is right as a whole; the difference to the present one is made out (<see cref="ReloadPlan"/>);</item>
/// <item>listeners that come are bound, so that an address in use is told before anything has changed;</item>
/// <item>pools that come are made, and where FastLB runs their workers these are ready before anything has changed (Server.Arriving.cs);</item>
/// <item>pools that can go on where they stand are told their new settings, others get a successor that takes over their workers;</item>
/// <item>every loop, in one turn, takes over the pools, then the routes that lead to them, then accepts for the new listeners; only when all have done so goes it on;</item>
/// <item>the fleet changes what runs;</item>
/// <item>listeners that go accept what waits in their queues, and nothing more; then the workers of pools that go finish and stop; those who came by such listeners, and what runs at
/// such pools, have the drain time to finish (Server.LettingGo.cs).</item>
/// </list>
/// A request in flight keeps the route and the pool that it has. One reload at a time; the last step goes on while others follow.
/// </summary>
public sealed partial class Server
{
    /// <summary>Less than the commands wait for an answer.</summary>
    private const int LongestWaitForReloadMs = 3_000;

    private readonly SemaphoreSlim _reloading = new(1, 1);
    private readonly CancellationTokenSource _ended = new();
    private readonly CancellationToken _endedToken;
    private readonly ConcurrentDictionary<string, int> _wantedInstances = [];

    // Only who holds the semaphore touches these two.
    private readonly List<ServedListener> _leaving = [];
    private readonly List<(Pool Pool, RunSettings Run)> _retiring = [];

    /// <summary>Serves these settings from now on. Never throws for what the settings say; nothing changes unless the answer says so.</summary>
    /// <param name="next">Checked and complete.</param>
    /// <param name="forgetsChanges">Whether what the operator has changed since the start is undone.</param>
    public async Task<ReloadResult> ReloadAsync(Settings next, bool forgetsChanges)
    {
        if (_draining)
        {
            return new ReloadResult(false, "FastLB is stopping");
        }

        await _reloading.WaitAsync().ConfigureAwait(false);
        try
        {
            return _draining ? new ReloadResult(false, "FastLB is stopping") : await ReloadOnceAsync(next, forgetsChanges).ConfigureAwait(false);
        }
        finally
        {
            _reloading.Release();
        }
    }

    private async Task<ReloadResult> ReloadOnceAsync(Settings next, bool forgetsChanges)
    {
        // 1. The difference.
        var before = _running;
        var plan = ReloadPlan.Between(before.Settings, next);

        if (!forgetsChanges && AddedWorkerThatComesBack(before, plan) is { } circle)
        {
            return new ReloadResult(false, circle);
        }

        // 2. Listeners that come.
        ServedListener[] added;
        try
        {
            added = BindAll(plan.Added, _threads.Length, [.. before.Listeners, .. _leaving]);
        }
        catch (ServerStartException failure)
        {
            return new ReloadResult(false, failure.Message);
        }

        // 3. Pools that come.
        var retiring = _retiring.Select(r => r.Run.PoolName).ToHashSet();
        var arriving = plan.Pools
            .Where(p => p is { Run: not null, RunBefore: null } && !retiring.Contains(p.Name))
            .Select(p => (Pool: MakePool(p.Settings!, _threads.Length, before: null), Run: p.Run!))
            .ToArray();
        if (await WhyNotReadyAsync(arriving).ConfigureAwait(false) is { } problem)
        {
            Abandon(added);
            return new ReloadResult(false, problem) { IsCheapToTry = false };
        }

        // 4. Pools that stay. What cannot change while FastLB runs stays as it is, and is told again at the next reload.
        if (forgetsChanges)
        {
            _wantedInstances.Clear();
            foreach (var route in before.Listeners.SelectMany(l => l.Switches.All))
            {
                route.Word = MaintenanceWord.Configured;
            }
        }

        var arrived = arriving.ToDictionary(a => a.Pool.Name, a => a.Pool);
        Pool[] pools = [.. plan.Pools.Where(p => p.Kind != PoolChangeKind.Removed).Select(change => arrived.GetValueOrDefault(change.Name) ?? TakeOver(change, before, forgetsChanges))];
        foreach (var pool in arrived.Values)
        {
            pool.Published = TellLoops;
        }

        var kept = before.Listeners.Where(l => plan.Kept.Any(k => ReloadPlan.HasSameSockets(k, l.Settings))).ToArray();
        var removed = before.Listeners.Except(kept).ToArray();
        _total.Limit = next.MaxConnections;
        foreach (var listener in kept)
        {
            listener.Use(plan.Kept.First(k => k.Bind.Equals(listener.Settings.Bind)));
        }

        var settings = next with { Engine = before.Settings.Engine, Loops = before.Settings.Loops, Spin = before.Settings.Spin, Admin = before.Settings.Admin, AccessLog = before.Settings.AccessLog, IsWatched = before.Settings.IsWatched };
        _running = new Running(settings, pools, [.. kept, .. added]);
        _watch.Use(pools);

        // 5. The loops.
        OnEachLoop(i =>
        {
            _proxies[i].UsePools(pools);
            foreach (var listener in kept)
            {
                listener.Refresh(i);
            }

            foreach (var listener in added)
            {
                listener.ListenOn(i, _threads[i].Loop, _proxies[i]);
            }
        });

        // What the loops take over must not change under them, so the next reload waits as well.
        await EveryLoopAsync().ConfigureAwait(false);

        // 6. The fleet. Pools that go keep their workers until nobody is sent there any more.
        Pool[] gone = [.. before.Pools.Where(p => pools.All(now => now.Name != p.Name))];
        KeepOnly(pools);
        _retiring.RemoveAll(r => settings.Runs.Any(run => run.PoolName == r.Run.PoolName));
        _retiring.AddRange(gone.SelectMany(p => before.Settings.Runs.Where(r => r.PoolName == p.Name).Select(r => (p, r))));
        var stopped = _fleet.Processes.Where(p => p.IsBehind).Select(p => p.PoolName).Distinct().ToArray();
        var note = TellFleet(triesAgain: true) + (stopped.Length == 0 ? "" : $"; the last rolling restart of {string.Join(", ", stopped)} had stopped; what is not as configured is replaced");

        // 7. What goes.
        if (removed.Length > 0 || gone.Length > 0)
        {
            _leaving.AddRange(removed);
            _ = LetGoAsync(removed, gone, settings);
        }

        var text = plan.Describe() + (forgetsChanges ? "; the operator's changes are undone" : WhatStays()) + note
            + (plan.AtNextStart.Count > 0 ? $"; {string.Join(", ", plan.AtNextStart)}: takes effect at the next start" : "");
        LogReloaded(text);
        ListenerWarnings.Tell(settings, added, _log);
        return new ReloadResult(true, text);
    }

    /// <summary>A sentence when an operator had added a worker at an address where a listener is to be now; otherwise null.</summary>
    private static string? AddedWorkerThatComesBack(Running before, ReloadPlan plan)
    {
        foreach (var worker in before.Pools
            .Where(p => plan.Pools.Any(change => change.Name == p.Name && change.Settings?.Reached.Count > 0))
            .SelectMany(p => p.Members.Ready.Where(w => p.Overlay.Added.Any(a => a.Endpoint.Equals(w.Endpoint)))))
        {
            if (plan.Added.Select(l => l.Bind).FirstOrDefault(l => OwnListeners.Reaches(worker.Endpoint, l)) is { } listener)
            {
                return $"worker {worker.Name}, which the operator added at {worker.Endpoint}, would be FastLB's own listener ({listener}), and requests would go round for ever; "
                    + $"remove it with 'fastlb worker remove {worker.Name}', or reload with --reset";
            }
        }

        return null;
    }

    /// <summary>What an operator has changed of a pool, as the configuration stands now.</summary>
    private IEnumerable<OperatorChange> ChangesOf(Pool pool)
    {
        var run = _running.Settings.Runs.FirstOrDefault(r => r.PoolName == pool.Name);
        return OperatorChange.Of(pool, run is not null && _wantedInstances.TryGetValue(pool.Name, out var wanted) ? wanted : null, run?.Instances ?? 0);
    }

    /// <summary>A clause when an operator's changes stand over what has just been read, so that nobody wonders why the file does not hold.</summary>
    private string WhatStays()
    {
        string[] names =
        [
            .. _running.Pools.SelectMany(ChangesOf).Select(change => change.Name),
            .. _running.Listeners.SelectMany(l => l.Switches.All).Where(s => s.Word != MaintenanceWord.Configured).Select(s => $"route {s.Name} maintenance").Distinct(),
        ];
        return names.Length == 0 ? "" : $"; the operator's changes stay: {string.Join(", ", names)}";
    }

    /// <summary>Completes when every loop has done what was posted to it before.</summary>
    private Task EveryLoopAsync()
    {
        var passed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        LoopBarrier.Pass([.. _threads.Select(t => t.Loop)], passed.SetResult);
        return passed.Task;
    }

    /// <summary>An operator's change and a reload wait for each other, so that neither is made to something that the other has just replaced.</summary>
    private OperatorAnswer Exclusively(Func<OperatorAnswer> change)
    {
        if (!_reloading.Wait(LongestWaitForReloadMs))
        {
            return new OperatorAnswer(OperatorResult.Busy, "a reload waits for the workers of new pools; try again when it is done");
        }

        try
        {
            return _draining ? new OperatorAnswer(OperatorResult.Wrong, "FastLB is stopping") : change();
        }
        finally
        {
            _reloading.Release();
        }
    }

    /// <summary>Lets the fleet run another number of a pool's workers than is configured, or, with null, as many as are. False when it runs none. Within <see cref="Exclusively"/>.</summary>
    private bool TryScale(string poolName, int? instances)
    {
        if (_running.Settings.Runs.All(r => r.PoolName != poolName))
        {
            return false;
        }

        if (instances is { } wanted)
        {
            _wantedInstances[poolName] = wanted;
        }
        else
        {
            _wantedInstances.TryRemove(poolName, out _);
        }

        TellFleet();
        return true;
    }

    private IEnumerable<string> RouteNames() =>
        _running.Listeners.SelectMany(l => l.Settings.Routes).Select(r => r.Name).OfType<string>().Distinct();

    private bool TryMaintain(string route, MaintenanceWord word)
    {
        var isThere = false;
        foreach (var listener in _running.Listeners)
        {
            isThere |= listener.Switches.TrySet(route, word);
        }

        return isThere;
    }

    private Pool TakeOver(PoolChange change, Running before, bool forgetsChanges)
    {
        var present = Array.Find(before.Pools, p => p.Name == change.Name);
        if (present is not null && forgetsChanges && !present.Overlay.IsNone)
        {
            present.Change(_ => PoolOverlay.None);
        }

        if (change.Kind == PoolChangeKind.Applied)
        {
            present!.Apply(change.Settings!);
        }

        if (change.Kind is PoolChangeKind.Same or PoolChangeKind.Applied)
        {
            return present!;
        }

        var pool = MakePool(change.Settings!, _threads.Length, present);
        pool.Published = TellLoops;
        if (change is { Run: not null, RunBefore: not null })
        {
            // The fleet publishes to the old one until it is told, after the loops.
            present?.PassOnTo(pool);
        }

        return pool;
    }

    /// <summary>What was made and said for pools by their names, so that names that come and go do not add up. A pool that comes back begins anew.</summary>
    private void KeepOnly(Pool[] pools)
    {
        foreach (var gone in _wantedInstances.Keys.Concat(_madeSecrets.Keys).Except(pools.Select(p => p.Name)).ToArray())
        {
            _wantedInstances.TryRemove(gone, out _);
            _madeSecrets.Remove(gone);
        }
    }

    private string TellFleet(bool triesAgain = false)
    {
        try
        {
            StartFleet(() => _fleet.Use(RunsOf(_running), triesAgain));
            return "";
        }
        catch (ServerStartException failure)
        {
            LogNotReloaded(failure.Message);
            return $"; but the fleet could not start: {failure.Message}";
        }
    }

    [LoggerMessage(LogLevel.Information, "reloaded: {changes}")]
    private partial void LogReloaded(string changes);

    [LoggerMessage(LogLevel.Error, "not reloaded, and nothing has changed: {problem}")]
    private partial void LogNotReloaded(string problem);
}
