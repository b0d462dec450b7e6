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
    /// <summary>One reload at a time, from its beginning to its end.</summary>
    private readonly SemaphoreSlim _reloading = new(1, 1);

    /// <summary>Held while anything changes: by a reload except while it waits for workers, by an operator, by what goes.</summary>
    private readonly SemaphoreSlim _changing = new(1, 1);
    private readonly CancellationTokenSource _ended = new();
    private readonly CancellationToken _endedToken;
    private readonly ConcurrentDictionary<string, int> _wantedInstances = [];

    // Only who holds the second semaphore touches these.
    private readonly List<ServedListener> _leaving = [];
    private readonly List<(Pool Pool, RunSettings Run)> _retiring = [];
    private (Pool Pool, RunSettings Run)[] _arriving = [];
    private int _asked;

    /// <summary>Serves these settings from now on. Never throws for what the settings say; nothing changes unless the answer says so.</summary>
    /// <param name="next">Checked and complete.</param>
    /// <param name="forgetsChanges">Whether what the operator has changed since the start is undone.</param>
    public async Task<ReloadResult> ReloadAsync(Settings next, bool forgetsChanges)
    {
        if (_draining)
        {
            return new ReloadResult(false, "FastLB is stopping");
        }

        // One that waits for workers waits no longer: something newer has come.
        var number = Interlocked.Increment(ref _asked);
        await _reloading.WaitAsync().ConfigureAwait(false);
        try
        {
            return _draining ? new ReloadResult(false, "FastLB is stopping") : await ReloadOnceAsync(next, forgetsChanges, number).ConfigureAwait(false);
        }
        finally
        {
            _reloading.Release();
        }
    }

    private async Task<ReloadResult> ReloadOnceAsync(Settings next, bool forgetsChanges, int number)
    {
        // 1. The difference.
        var plan = ReloadPlan.Between(_running.Settings, next);

        // 2. Listeners that come, and 3. pools that come.
        ServedListener[] added = [];
        var refusal = await ChangingAsync(() => Task.FromResult(WhyNotBegun(plan, forgetsChanges, out added))).ConfigureAwait(false);
        if (refusal is not null)
        {
            return new ReloadResult(false, refusal);
        }

        var startsWorkers = _arriving.Length > 0;
        refusal = await WhyNotReadyAsync(number).ConfigureAwait(false);
        return await ChangingAsync(async () =>
        {
            refusal ??= (forgetsChanges ? null : AddedWorkerThatComesBack(_running, plan)) ?? WhyNotListening(added);
            if (refusal is not null)
            {
                Abandon(added);
                LetArrivingGo();
                return new ReloadResult(false, refusal) { IsCheapToTry = !startsWorkers };
            }

            return await TakeOverAsync(next, forgetsChanges, plan, added).ConfigureAwait(false);
        }).ConfigureAwait(false);
    }

    /// <summary>Does it while nobody else changes anything.</summary>
    private async Task<T> ChangingAsync<T>(Func<Task<T>> change)
    {
        await _changing.WaitAsync().ConfigureAwait(false);
        try
        {
            return await change().ConfigureAwait(false);
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Takes the addresses that come and lets the workers that come start. Null, or why that cannot be, and nothing is left of it.</summary>
    private string? WhyNotBegun(ReloadPlan plan, bool forgetsChanges, out ServedListener[] added)
    {
        added = [];
        if (!forgetsChanges && AddedWorkerThatComesBack(_running, plan) is { } circle)
        {
            return circle;
        }

        try
        {
            added = BindAll(plan.Added, _threads.Length, [.. _running.Listeners, .. _leaving]);
        }
        catch (ServerStartException failure)
        {
            return failure.Message;
        }

        if (WhyNotStarted(plan) is { } problem)
        {
            Abandon(added);
            return problem;
        }

        return null;
    }

    private static string? WhyNotListening(ServedListener[] added)
    {
        try
        {
            ListenAll(added);
            return null;
        }
        catch (ServerStartException failure)
        {
            return failure.Message;
        }
    }

    private async Task<ReloadResult> TakeOverAsync(Settings next, bool forgetsChanges, ReloadPlan plan, ServedListener[] added)
    {
        var before = _running;

        // 4. Pools that stay. What cannot change while FastLB runs stays as it is, and is told again at the next reload.
        if (forgetsChanges)
        {
            _wantedInstances.Clear();
            foreach (var route in before.Listeners.SelectMany(l => l.Switches.All))
            {
                route.Word = MaintenanceWord.Configured;
            }
        }

        var arrived = _arriving.ToDictionary(a => a.Pool.Name, a => a.Pool);
        Pool[] pools = [.. plan.Pools.Where(p => p.Kind != PoolChangeKind.Removed).Select(change => arrived.GetValueOrDefault(change.Name) ?? TakeOver(change, before, forgetsChanges))];
        foreach (var pool in arrived.Values)
        {
            pool.Published = TellLoops;
        }

        _arriving = [];
        var kept = before.Listeners.Where(l => plan.Kept.Any(k => ReloadPlan.HasSameSockets(k, l.Settings))).ToArray();
        var removed = before.Listeners.Except(kept).ToArray();
        _total.Limit = next.MaxConnections;
        foreach (var listener in kept)
        {
            listener.Use(plan.Kept.First(k => k.Bind.Equals(listener.Settings.Bind)));
        }

        foreach (var listener in added)
        {
            // The limit of all of them may have come with it.
            listener.Use(listener.Settings);
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
        _retiring.RemoveAll(r => settings.Runs.Any(run => run.PoolName == r.Run.PoolName));
        _retiring.AddRange(gone.SelectMany(p => before.Settings.Runs.Where(r => r.PoolName == p.Name).Select(r => (p, AsWanted(r)))));
        KeepOnly(settings);
        var stopped = _fleet.Processes.Where(p => p.IsBehind).Select(p => p.PoolName).Distinct().ToArray();
        TellFleet(triesAgain: true);
        var note = stopped.Length == 0 ? "" : $"; the last rolling restart of {string.Join(", ", stopped)} had stopped; what is not as configured is replaced";

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

    /// <summary>Completes when every loop has done what was posted to it before.</summary>
    private Task EveryLoopAsync()
    {
        var passed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        LoopBarrier.Pass([.. _threads.Select(t => t.Loop)], passed.SetResult);
        return passed.Task;
    }

    private Pool TakeOver(PoolChange change, Running before, bool forgetsChanges)
    {
        // One that comes back while its workers are still on their way out begins with them, and without what an operator had said of them.
        var retiring = change is { Run: not null, RunBefore: null } ? _retiring.Find(r => r.Run.PoolName == change.Name).Pool : null;
        var present = retiring ?? Array.Find(before.Pools, p => p.Name == change.Name);
        if (present is not null && (forgetsChanges || retiring is not null) && !present.Overlay.IsNone)
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
        if (retiring is not null || change is { Run: not null, RunBefore: not null })
        {
            // The fleet publishes to the old one until it is told, after the loops.
            present!.PassOnTo(pool);
        }

        return pool;
    }

    /// <summary>What was made and said for pools by their names, so that names that come and go do not add up. A pool that comes back begins anew.</summary>
    private void KeepOnly(Settings settings)
    {
        foreach (var gone in _wantedInstances.Keys.Except(settings.Runs.Select(r => r.PoolName)).ToArray())
        {
            _wantedInstances.TryRemove(gone, out _);
        }

        foreach (var gone in _madeSecrets.Keys.Except(settings.Pools.Select(p => p.Name)).ToArray())
        {
            _madeSecrets.Remove(gone);
        }
    }

    /// <summary>It runs already wherever it has something to run: pools that come have started it.</summary>
    private void TellFleet(bool triesAgain = false) => _fleet.Use(RunsOf(_running), triesAgain);

    [LoggerMessage(LogLevel.Information, "reloaded: {changes}")]
    private partial void LogReloaded(string changes);
}
