namespace FastLB.Fleet;

/// <summary>What is told of a pool's processes, and which of them serve though they were started by settings that are no longer the pool's.</summary>
internal sealed partial class PoolFleet
{
    /// <summary>Appends the pool's processes as they are now.</summary>
    public void Describe(List<WorkerProcess> processes)
    {
        foreach (var slot in _supervisor.Slots)
        {
            foreach (var process in slot.Processes)
            {
                if (_running.TryGetValue(process.Key, out var running))
                {
                    processes.Add(Row(slot, process.Key.Generation, StateText(process.State), running));
                }
            }

            if (slot.RestartAtMs is not null)
            {
                processes.Add(Row(slot, slot.Generation, "backoff", null));
            }
        }
    }

    private WorkerProcess Row(Slot slot, int generation, string state, RunningWorker? running) => new(
        PoolName,
        slot.Index,
        generation,
        state,
        running?.Child.Pid ?? 0,
        running?.Endpoint.ToString() ?? "",
        running?.StartedAt ?? _starts.GetValueOrDefault(slot.Index).LastStart,
        slot.Restarts,
        slot.LastExit,
        running?.Worker)
    {
        IsBehind = running is not null && slot.Serving?.Key == running.Key && IsBehind(slot, _run),
    };

    /// <summary>Whether a process serves that was started by other settings, and no rolling restart is on its way to it.</summary>
    private bool IsBehind(Slot slot, RunSettings run) => !_supervisor.IsRolling && ServesBy(slot) is { } by && !by.StartsTheSameAs(run);

    /// <summary>By which settings the slot's process was started; null when none serves that is to stay.</summary>
    private RunSettings? ServesBy(Slot slot) =>
        slot is { IsSurplus: false, Serving: { State: ProcessState.Starting or ProcessState.Ready } serving } && _running.TryGetValue(serving.Key, out var running) ? running.Run : null;

    private static string StateText(ProcessState state) => state switch
    {
        ProcessState.Starting => "starting",
        ProcessState.Ready => "ready",
        ProcessState.Draining => "draining",
        ProcessState.Stopping => "stopping",
        _ => throw new ArgumentOutOfRangeException(nameof(state)),
    };
}
