using FastLB.Core.Balancing;

namespace FastLB.Fleet;

/// <summary>A process of the fleet at one moment, for the status page. Immutable.</summary>
/// <param name="PoolName">The pool that it belongs to.</param>
/// <param name="Slot">Its stable place there, from 0.</param>
/// <param name="Generation">How often the slot's process was replaced, from 1.</param>
/// <param name="State"><c>starting</c>, <c>ready</c>, <c>draining</c>, <c>stopping</c>, or <c>backoff</c>: none runs, the next one waits for its time.</param>
/// <param name="Pid">0 when none runs.</param>
/// <param name="Endpoint">Where it answers, or "" when none runs.</param>
/// <param name="StartedAt">When it was started; in backoff, when the last one was.</param>
/// <param name="Restarts">How often the slot was started again after an end that nobody had asked for.</param>
/// <param name="LastExit">How the slot's last process ended, "exited with status 1"; null when none has.</param>
/// <param name="Worker">Its counters; null when none runs.</param>
public sealed record WorkerProcess(
    string PoolName,
    int Slot,
    int Generation,
    string State,
    int Pid,
    string Endpoint,
    DateTimeOffset StartedAt,
    int Restarts,
    string? LastExit,
    Worker? Worker)
{
    /// <summary>It serves, but was started by earlier settings of its pool: the rolling restart that was to replace it has stopped.</summary>
    public bool IsBehind { get; init; }
}
