using FastLB.Core.Loop;

namespace FastLB.Fleet;

/// <summary>
/// How the supervisor gets other settings while its processes serve, and how a pool that the configuration no longer has goes. Slots that are too many are
/// always the last ones: they take no new requests at once, finish what they have, stop, and are forgotten. What changes the processes themselves is
/// brought to them by a rolling restart.
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
        if (mustReplace)
        {
            // Before it grows, because slots that come with the new settings need not be restarted.
            OnRestartRolling();
        }

        Resize(run.Instances);
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
        LogPool(Severity.Information, "is no longer configured; its workers finish their requests and stop");
        Resize(0);
    }

    private void Resize(int instances)
    {
        for (var index = 0; index < instances; index++)
        {
            if (index == _slots.Count)
            {
                _slots.Add(new Slot(index, _lastGenerations.GetValueOrDefault(index, _firstGeneration)));
            }

            var slot = _slots[index];
            if (slot is { IsSurplus: true, Leaving: null, Serving: { State: not ProcessState.Starting } going })
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

        for (var index = instances; index < _slots.Count; index++)
        {
            Vacate(_slots[index]);
        }
    }

    /// <summary>The slot's processes go, and none follows.</summary>
    private void Vacate(Slot slot)
    {
        if (slot.IsSurplus)
        {
            return;
        }

        slot.IsSurplus = true;
        slot.RestartAtMs = null;
        if (slot.Incoming is { State: not ProcessState.Stopping } incoming)
        {
            Terminate(incoming);
        }

        if (slot.Serving is not { } serving)
        {
            return;
        }

        if (serving.State == ProcessState.Ready)
        {
            // It drains where it stands: its predecessor may still be on its way out.
            serving.State = ProcessState.Draining;
            serving.DeadlineMs = _nowMs + _run.DrainMs;
            PublishIfChanged();
            _effects.Add(new FleetEffect.WatchDrained(serving.Key.Slot, serving.Key.Generation));
        }
        else if (serving.State == ProcessState.Starting)
        {
            Terminate(serving);
        }
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
