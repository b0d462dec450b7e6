using FastLB.Core.Loop;

namespace FastLB.Fleet;

/// <summary>
/// Keeps the processes of one pool running: starts them, waits until each answers, replaces what exits, restarts them rolling, stops
/// them. A pure state machine: it has no clock, no process and no thread; it is told what happened and says what to do.
/// <code>
///             answered                replaced              drained, or drain time over
///  Starting -----------> Ready -------------------> Draining --------------------------> Stopping ---> gone
///     |  not in time                                                                        ^
///     +---------------- killed ------------------------------------------------------------+
///  gone without being asked to: the slot waits as <see cref="RestartBackoff"/> says, then the next generation starts
/// </code>
/// The host serialises the calls, answers every <see cref="FleetEffect.Spawn"/> and calls with a <see cref="FleetEvent.Tick"/> when
/// <see cref="NextDeadlineMs"/> comes. Events about processes that are gone are ignored, so their senders need not race with exits.
/// Which of them requests go to is in Supervisor.Publishing.cs, rolling restarts are in Supervisor.Rolling.cs, other settings in Supervisor.Resizing.cs.
/// </summary>
internal sealed partial class Supervisor
{
    /// <summary>
    /// From SIGKILL until a process that does not go is given up: it hangs in the kernel, and stopping must end all the same.
    /// </summary>
    public const int AbandonAfterMs = 10_000;

    private RunSettings _run;
    private readonly RandomSource _random;
    private readonly List<Slot> _slots;
    private readonly int _firstGeneration;
    private List<FleetEffect> _effects = [];
    private bool _stopping;
    private bool _stopped;
    private bool _atOnce;
    private long _nowMs = long.MinValue;

    /// <param name="run">How its processes are run.</param>
    /// <param name="random">For jitter.</param>
    /// <param name="firstGeneration">
    /// The generation before the first one: above 0 when a pool of this name was here before, whose processes may not be gone and must not be mistaken for new ones.
    /// </param>
    public Supervisor(RunSettings run, RandomSource random, int firstGeneration = 0)
    {
        _firstGeneration = firstGeneration;
        ArgumentOutOfRangeException.ThrowIfLessThan(run.Instances, 1);
        _run = run;
        _random = random;
        _slots = [.. Enumerable.Range(0, run.Instances).Select(index => new Slot(index, firstGeneration))];
    }

    public IReadOnlyList<Slot> Slots => _slots;

    /// <summary>When a <see cref="FleetEvent.Tick"/> is due, in the caller's milliseconds; <see cref="long.MaxValue"/>: never.</summary>
    public long NextDeadlineMs
    {
        get
        {
            var next = _opensAtMs ?? long.MaxValue;
            foreach (var slot in _slots)
            {
                next = Math.Min(next, slot.RestartAtMs ?? long.MaxValue);
                foreach (var process in slot.Processes)
                {
                    next = Math.Min(next, process.DeadlineMs);
                }
            }

            return next;
        }
    }

    /// <summary>Takes one event and appends what is to be done, in order, to <paramref name="effects"/>.</summary>
    public void Handle(FleetEvent occurred, long nowMs, List<FleetEffect> effects)
    {
        Invariant.That(nowMs >= _nowMs, "time does not go back");
        _nowMs = nowMs;
        _effects = effects;
        switch (occurred)
        {
            case FleetEvent.Start:
                OnStart();
                break;
            case FleetEvent.Spawned(var slot, var generation) when Find(slot, generation) is { } process:
                OnSpawned(process);
                break;
            case FleetEvent.SpawnFailed(var slot, var generation, var problem) when Find(slot, generation) is { } process:
                OnGone(process, $"cannot be started: {problem}");
                break;
            case FleetEvent.Answered(var slot, var generation) when Find(slot, generation) is { State: ProcessState.Starting } process:
                OnAnswered(process);
                break;
            case FleetEvent.Exited(var slot, var generation, var how) when Find(slot, generation) is { } process:
                OnGone(process, how);
                break;
            case FleetEvent.Drained(var slot, var generation) when Find(slot, generation) is { State: ProcessState.Draining } process:
                Terminate(process);
                break;
            case FleetEvent.RestartRolling:
                OnRestartRolling();
                break;
            case FleetEvent.Changed(var run, var mustReplace):
                OnChanged(run, mustReplace);
                break;
            case FleetEvent.Retire:
                OnRetire();
                break;
            case FleetEvent.Stop:
                OnStop();
                break;
            case FleetEvent.StopAtOnce:
                OnStopAtOnce();
                break;
            case FleetEvent.Tick:
                OnTick();
                break;
        }

        StepRollout();
        ForgetVacated();
        PublishIfChanged();
        LetSurplusGo();
        if ((_stopping || _retiring) && !_stopped && _slots.All(slot => slot.IsEmpty))
        {
            _stopped = true;
            _effects.Add(new FleetEffect.Stopped());
        }
    }

    private void OnStart()
    {
        Invariant.That(_slots.All(slot => slot.Generation == _firstGeneration), "a pool is started once");
        foreach (var slot in _slots)
        {
            slot.Serving = Spawn(slot);
        }
    }

    private void OnSpawned(SlotProcess process)
    {
        process.IsAlive = true;
        if (process.State == ProcessState.Stopping)
        {
            // It was given up while it was being started.
            if (_atOnce)
            {
                Kill(process);
            }
            else
            {
                Terminate(process);
            }

            return;
        }

        _effects.Add(new FleetEffect.Probe(process.Key.Slot, process.Key.Generation));
    }

    private void OnAnswered(SlotProcess process)
    {
        process.State = ProcessState.Ready;
        process.ReadyMs = _nowMs;
        process.DeadlineMs = long.MaxValue;

        // Requests first, the log afterwards. A replacement is published when the rollout lets it take over.
        PublishIfChanged();
        _effects.Add(new FleetEffect.Announce(process.Key.Slot, process.Key.Generation, _nowMs - process.StartedMs));
    }

    /// <summary>A process exited, could not be started, or was given up. No request may go there from the first effect on.</summary>
    private void OnGone(SlotProcess process, string how)
    {
        var slot = _slots[process.Key.Slot];
        var wasServing = slot.Serving == process;
        var wasLeaving = slot.Leaving == process;
        slot.Remove(process);
        PublishIfChanged();

        slot.LastExit = how;
        var what = process.IsAlive ? $"{how} after {RestartBackoff.Text(_nowMs - process.StartedMs)}" : how;
        var generation = $"generation {process.Key.Generation}";
        if (_stopping || (wasLeaving && process.State == ProcessState.Stopping) || (slot.IsSurplus && !wasLeaving))
        {
            LogSlot(Severity.Information, process, $"{generation} stopped: it {what}");
        }
        else if (wasLeaving)
        {
            LogSlot(Severity.Warning, process, $"{generation} {what}, while it finished its requests");
        }
        else if (!wasServing)
        {
            LogSlot(Severity.Warning, process, $"{generation} {what}, before it could take over");
        }
        else if (slot.Incoming is { } replacement)
        {
            slot.Incoming = null;
            slot.Serving = replacement;
            LogSlot(Severity.Warning, process, $"{what}; generation {replacement.Key.Generation} is on its way already");
        }
        else
        {
            ScheduleRestart(slot, process, what);
        }
    }

    private void ScheduleRestart(Slot slot, SlotProcess process, string what)
    {
        var readyForMs = process.ReadyMs is { } readyMs ? _nowMs - readyMs : -1;
        if (readyForMs >= RestartBackoff.ResetAfterMs)
        {
            slot.QuickExits = 0;
        }

        slot.Restarts++;
        if (readyForMs >= RestartBackoff.MinimumUptimeMs)
        {
            LogSlot(Severity.Warning, process, $"{what}; restarting now");
            slot.Serving = Spawn(slot);
            return;
        }

        slot.QuickExits++;
        var delayMs = RestartBackoff.DelayMs(slot.QuickExits, _random);
        slot.RestartAtMs = _nowMs + delayMs;
        var verb = process.IsAlive ? "restarting" : "trying again";
        LogSlot(Severity.Warning, process, $"{what}; {verb} in {RestartBackoff.Text(delayMs)} ({RestartBackoff.Ordinal(slot.QuickExits)} quick exit)");
    }

    private void OnTick()
    {
        foreach (var slot in _slots)
        {
            if (slot.RestartAtMs <= _nowMs)
            {
                slot.Serving = Spawn(slot);
            }

            // A copy, because what is given up leaves the slot.
            foreach (var process in slot.Processes.Where(process => process.DeadlineMs <= _nowMs).ToArray())
            {
                OnDeadline(process);
            }
        }
    }

    private void OnDeadline(SlotProcess process)
    {
        switch (process.State)
        {
            case ProcessState.Starting:
                LogSlot(Severity.Warning, process, $"did not answer on its port within {RestartBackoff.Text(_run.ReadyTimeoutMs)} (readyTimeout); killing it");
                Kill(process);
                break;
            case ProcessState.Draining:
                LogSlot(Severity.Warning, process, $"generation {process.Key.Generation} still had requests in flight after {RestartBackoff.Text(_run.DrainMs)}; stopping it");
                Terminate(process);
                break;
            case ProcessState.Stopping when !process.IsKilled:
                LogSlot(Severity.Warning, process, $"did not stop within {RestartBackoff.Text(_run.KillTimeoutMs)} of SIGTERM (killTimeout); killing it");
                Kill(process);
                break;
            case ProcessState.Stopping:
                LogSlot(Severity.Error, process, $"is still there {RestartBackoff.Text(AbandonAfterMs)} after SIGKILL, so it hangs in the kernel; not waiting for it any longer");
                OnGone(process, "could not be killed");
                break;
            case ProcessState.Ready:
                Invariant.That(false, "a ready process has no deadline");
                break;
        }
    }

    private void OnStop()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        _rollout = null;
        _rolloutAgain = false;
        foreach (var slot in _slots)
        {
            slot.RestartAtMs = null;
        }

        // All of them leave the snapshot before the first signal. Who is on its way out already keeps its deadline.
        var running = _slots.SelectMany(slot => slot.Processes).Where(process => process.State != ProcessState.Stopping).ToArray();
        foreach (var process in running)
        {
            process.State = ProcessState.Stopping;
        }

        PublishIfChanged();
        foreach (var process in running)
        {
            Terminate(process);
        }
    }

    private void OnStopAtOnce()
    {
        OnStop();
        _atOnce = true;
        foreach (var process in _slots.SelectMany(slot => slot.Processes).Where(process => !process.IsKilled).ToArray())
        {
            Kill(process);
        }
    }

    private SlotProcess Spawn(Slot slot)
    {
        Invariant.That(!_stopping, "a stopping pool starts nothing");
        Invariant.That(slot.Incoming is null && (slot.Serving is null || slot.Leaving is null), "a slot has at most two processes");
        slot.RestartAtMs = null;
        slot.Generation++;
        var process = new SlotProcess(slot.Index, slot.Generation, _nowMs) { DeadlineMs = _nowMs + _run.ReadyTimeoutMs };
        _effects.Add(new FleetEffect.Spawn(slot.Index, slot.Generation));
        return process;
    }

    private void Terminate(SlotProcess process)
    {
        process.State = ProcessState.Stopping;
        PublishIfChanged();
        if (!process.IsAlive)
        {
            // The signal follows when the host says that there is something to send it to.
            process.DeadlineMs = long.MaxValue;
            return;
        }

        process.DeadlineMs = _nowMs + _run.KillTimeoutMs;
        _effects.Add(new FleetEffect.Terminate(process.Key.Slot, process.Key.Generation));
    }

    private void Kill(SlotProcess process)
    {
        process.State = ProcessState.Stopping;
        PublishIfChanged();
        if (!process.IsAlive)
        {
            process.DeadlineMs = long.MaxValue;
            return;
        }

        process.IsKilled = true;
        process.DeadlineMs = _nowMs + AbandonAfterMs;
        _effects.Add(new FleetEffect.Kill(process.Key.Slot, process.Key.Generation));
    }

    private SlotProcess? Find(int slot, int generation) => (uint)slot < (uint)_slots.Count ? _slots[slot].Find(generation) : null;

    private void LogSlot(Severity severity, SlotProcess process, string sentence) =>
        _effects.Add(new FleetEffect.Log(severity, process.Key.Slot, sentence));

    private void LogPool(Severity severity, string sentence) => _effects.Add(new FleetEffect.Log(severity, null, sentence));
}
