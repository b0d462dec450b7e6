namespace FastLB.Fleet;

/// <summary>
/// Which workers requests go to: the ready ones, with one exception. A session by cookie stays where it begins, so the first worker up would get those of everyone
/// who waits. A pool whose sessions stick therefore opens as a whole: while it serves nobody, its ready workers are held back until no other one is on its way,
/// or for a bounded time. Requests wait in the pool's queue meanwhile. Once it is open each worker is published as it comes.
/// </summary>
internal sealed partial class Supervisor
{
    /// <summary>
    /// How long a ready worker is held back for the others: longer than processes that were started together need to differ, and shorter than any request should wait.
    /// </summary>
    public const int LongestHoldMs = 1_000;

    private IReadOnlyList<WorkerKey> _publishedReady = [];
    private IReadOnlyList<WorkerKey> _publishedDraining = [];

    /// <summary>When the workers that are held back are published at the latest; null while none is.</summary>
    private long? _opensAtMs;

    private void PublishIfChanged()
    {
        var ready = new List<WorkerKey>();
        var draining = new List<WorkerKey>();
        foreach (var slot in _slots)
        {
            if (slot.Serving is { State: ProcessState.Ready } serving)
            {
                ready.Add(serving.Key);
            }

            if (slot.Leaving is { State: ProcessState.Draining } leaving)
            {
                draining.Add(leaving.Key);
            }

            if (slot.Serving is { State: ProcessState.Draining } surplus)
            {
                draining.Add(surplus.Key);
            }
        }

        if (AreHeldBack(ready.Count))
        {
            ready.Clear();
        }

        if (!ready.SequenceEqual(_publishedReady) || !draining.SequenceEqual(_publishedDraining))
        {
            (_publishedReady, _publishedDraining) = (ready, draining);
            _effects.Add(new FleetEffect.Publish(ready, draining));
        }
    }

    private bool AreHeldBack(int readyWorkers)
    {
        var awaited = _run.OpensTogether && _run.Instances > 1 && _publishedReady.Count == 0 && readyWorkers > 0 ? _slots.Count(IsAwaited) : 0;
        if (awaited == 0)
        {
            _opensAtMs = null;
            return false;
        }

        _opensAtMs ??= _nowMs + LongestHoldMs;
        if (_nowMs < _opensAtMs)
        {
            return true;
        }

        _opensAtMs = null;
        var have = awaited == 1 ? "has" : "have";
        LogPool(Severity.Information, $"opens while {awaited} of its {_run.Instances} workers {have} not become ready within {RestartBackoff.Text(LongestHoldMs)} of the first one");
        return false;
    }

    /// <summary>A slot that waits for its restart is not: nobody knows whether the next process fares better than the last.</summary>
    private static bool IsAwaited(Slot slot) =>
        !slot.IsSurplus && slot.Serving is not { State: ProcessState.Ready } && slot.Processes.Any(process => process.State == ProcessState.Starting);
}
