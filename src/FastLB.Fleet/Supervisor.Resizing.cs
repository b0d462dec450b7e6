using FastLB.Core.Loop;

namespace FastLB.Fleet;

/// <summary>
/// How the supervisor gets other settings while its processes serve, and how a pool that the configuration no longer has goes. Slots that are too many are
/// always the last ones: they take no new requests, finish what they have, stop, and are forgotten. Should they be the only ones that serve, they do so until
/// one that stays is ready, since a pool that serves is not to stop for having fewer workers. What changes the processes themselves is brought to them by a rolling restart.
/// </summary>
internal sealed partial class Supervisor
{
    private bool _retiring;

    /// <summary>Of slots that were forgotten. One that comes back counts on, so that nothing of its old processes is mistaken for a new one.</summary>
    private readonly Dictionary<int, int> _lastGenerations = [];

    private void OnChanged(RunSettings run, bool mustReplace)
    {
        if (_stopping || _retiring)
        {
            return;
        }

        Invariant.That(run.PoolName == _run.PoolName, "a pool keeps its name");
        _run = run;
        var before = _slots.Count(slot => !slot.IsSurplus);
        Vacate(run.Instances);
        if (TakesBack(run.Instances) is var behind && (mustReplace || behind))
        {
            // Before it grows, because slots that come with the new settings need not be restarted.
            OnRestartRolling();
        }

        Grow(run.Instances);
        if (run.Instances != before)
        {
            LogPool(Severity.Information, $"has {run.Instances} {(run.Instances == 1 ? "worker" : "workers")} now instead of {before}");
        }
    }

    /// <summary>The pool is gone from the configuration: nobody routes to it any more, and what runs there may finish.</summary>
    private void OnRetire()
    {
        if (_stopping || _retiring)
        {
            return;
        }

        _retiring = true;
        _rollout = null;
        _rolloutAgain = false;
        LogPool(Severity.Information, "is not to run any more; its workers finish their requests and stop");
        Vacate(0);
    }

    private void Grow(int instances)
    {
        for (var index = 0; index < instances; index++)
        {
            if (index == _slots.Count)
            {
                _slots.Add(new Slot(index, _lastGenerations.GetValueOrDefault(index, _firstGeneration)));
            }

            var slot = _slots[index];
            if (slot is { IsSurplus: true, Leaving: null, Serving: { State: ProcessState.Draining or ProcessState.Stopping } going })
            {
                // It goes on going; the slot has room for a successor beside it.
                slot.Leaving = going;
                slot.Serving = null;
            }

            var hasNothing = slot is { Serving: null, RestartAtMs: null };
            slot.IsSurplus = false;
            if (hasNothing && slot.Incoming is { } stopping)
            {
                // It was given up while it started. When it is gone, the slot starts another one as after any end.
                slot.Incoming = null;
                slot.Serving = stopping;
            }
            else if (hasNothing)
            {
                slot.Serving = Spawn(slot);
            }
        }
    }

    /// <summary>The processes of the slots from this one on go, and none follows.</summary>
    private void Vacate(int instances)
    {
        var surplus = _slots.Skip(instances).Where(slot => !slot.IsSurplus).ToArray();
        foreach (var slot in surplus)
        {
            slot.IsSurplus = true;
            slot.RestartAtMs = null;
            if (slot.Serving is { State: ProcessState.Ready } serving && _rollout is { HasTakenOver: false } rollout && rollout.Slot == slot.Index)
            {
                serving.IsBehind = true;
            }
        }

        LetSurplusGo();
        foreach (var process in surplus.SelectMany(GivenUp).ToArray())
        {
            Terminate(process);
        }

        foreach (var slot in surplus)
        {
            if (slot.Serving is { State: ProcessState.Ready } serving)
            {
                LogSlot(Severity.Information, serving, "is one too many, and goes on serving until a worker that stays is ready, because none is");
            }
        }
    }

    /// <summary>What has served nobody yet is not waited for.</summary>
    private static IEnumerable<SlotProcess> GivenUp(Slot slot) =>
        slot.Processes.Where(process => process.State == ProcessState.Starting || (process.State == ProcessState.Ready && process == slot.Incoming));

    /// <summary>Workers that are too many finish their requests as soon as there is one that stays and serves, or as nobody is sent to the pool any more.</summary>
    private void LetSurplusGo()
    {
        if (!_retiring && !_publishedReady.Any(key => !_slots[key.Slot].IsSurplus))
        {
            return;
        }

        // They drain where they stand: a predecessor may still be on its way out beside each.
        var going = _slots.Where(slot => slot.IsSurplus).Select(slot => slot.Serving).OfType<SlotProcess>().Where(process => process.State == ProcessState.Ready).ToArray();
        foreach (var process in going)
        {
            process.State = ProcessState.Draining;
            process.DeadlineMs = _nowMs + _run.DrainMs;
        }

        PublishIfChanged();
        foreach (var process in going)
        {
            _effects.Add(new FleetEffect.WatchDrained(process.Key.Slot, process.Key.Generation));
        }
    }

    /// <summary>
    /// Workers that still serve in slots below <paramref name="instances"/> though they were too many are like the others again. True when one of them has to be
    /// restarted, because the rolling restart that had come to it was not finished there.
    /// </summary>
    private bool TakesBack(int instances)
    {
        var isBehind = false;
        foreach (var slot in _slots.Take(instances))
        {
            if (slot is { IsSurplus: true, Serving: { State: ProcessState.Ready } serving })
            {
                slot.IsSurplus = false;

                // One that has begun since is still on its way here: where it has been, a worker serves that stays, and this one would have gone.
                isBehind |= serving.IsBehind && _rollout is null;
            }
        }

        return isBehind;
    }

    /// <summary>Slots that are not wanted any more and whose processes are gone leave from the end.</summary>
    private void ForgetVacated()
    {
        while (_slots.Count > 0 && _slots[^1] is { IsSurplus: true, IsEmpty: true })
        {
            _lastGenerations[_slots.Count - 1] = _slots[^1].Generation;
            _slots.RemoveAt(_slots.Count - 1);
        }
    }
}
