using FastLB.Core.Loop;

namespace FastLB.Fleet;

/// <summary>How the supervisor performs a rolling restart, slot by slot, as <see cref="Rollout"/> decides.</summary>
internal sealed partial class Supervisor
{
    private Rollout? _rollout;

    private bool _rolloutAgain;

    /// <summary>Whether a rolling restart is under way.</summary>
    public bool IsRolling => _rollout is not null;

    private void OnRestartRolling()
    {
        if (_stopping || _retiring)
        {
            return;
        }

        if (_rollout is not null)
        {
            // What is new since then may not be in the processes that were replaced already.
            _rolloutAgain = true;
            LogPool(Severity.Information, "is being restarted rolling; it will be once more afterwards");
            return;
        }

        var count = _slots.Count(slot => !slot.IsSurplus);
        LogPool(Severity.Information, $"rolling restart of {count} {(count == 1 ? "worker" : "workers")} begins");
        _rollout = new Rollout(_slots, _nowMs);
    }

    private void StepRollout()
    {
        while (_rollout is { } rollout)
        {
            switch (rollout.Next())
            {
                case RolloutStep.Wait:
                    return;
                case RolloutStep.SpawnReplacement:
                    var slot = _slots[rollout.Slot];
                    var replacement = Spawn(slot);
                    rollout.Spawned(replacement.Key.Generation);
                    if (slot.Serving is null)
                    {
                        slot.Serving = replacement;
                    }
                    else
                    {
                        slot.Incoming = replacement;
                    }

                    break;
                case RolloutStep.TakeOver:
                    rollout.TookOver();
                    TakeOver(_slots[rollout.Slot]);
                    break;
                case RolloutStep.Finished:
                    LogPool(Severity.Information, $"rolling restart finished after {RestartBackoff.Text(_nowMs - rollout.StartedMs)}");
                    EndRollout();
                    break;
                case RolloutStep.Failed:
                    LogPool(Severity.Error, DescribeFailure(rollout));
                    if (!_rolloutAgain)
                    {
                        _effects.Add(new FleetEffect.FallBack());
                    }

                    EndRollout();
                    break;
            }
        }
    }

    private void TakeOver(Slot slot)
    {
        if (slot.Incoming is not { } replacement)
        {
            // The predecessor had gone by itself; the replacement serves already.
            return;
        }

        Invariant.That(slot.Leaving is null, "a slot has at most two processes");
        var predecessor = slot.Serving!;
        slot.Serving = replacement;
        slot.Incoming = null;
        slot.Leaving = predecessor;
        if (predecessor.State == ProcessState.Ready)
        {
            predecessor.State = ProcessState.Draining;
            predecessor.DeadlineMs = _nowMs + _run.DrainMs;
            PublishIfChanged();
            _effects.Add(new FleetEffect.WatchDrained(predecessor.Key.Slot, predecessor.Key.Generation));
        }
        else if (predecessor.State == ProcessState.Starting)
        {
            Terminate(predecessor);
        }
    }

    private string DescribeFailure(Rollout rollout)
    {
        var slot = _slots[rollout.Slot];
        var kept = slot.Serving is { } old ? $"generation {old.Key.Generation} stays" : "the slot restarts as after any exit";
        return rollout.HasTakenOver
            ? $"rolling restart stopped at {_run.PoolName}/{slot.Index}: generation {rollout.Generation} became ready but then {slot.LastExit}; the slots after it keep their processes"
            : $"rolling restart stopped at {_run.PoolName}/{slot.Index}: generation {rollout.Generation} never became ready ({slot.LastExit}); {kept}, and the slots after it keep their processes";
    }

    private void EndRollout()
    {
        _rollout = null;
        if (_rolloutAgain)
        {
            _rolloutAgain = false;
            OnRestartRolling();
        }
    }
}
