namespace FastLB.Fleet;

internal enum RolloutStep
{
    /// <summary>Nothing to do until something happens.</summary>
    Wait,

    /// <summary>Start a new process for <see cref="Rollout.Slot"/> beside the one that serves.</summary>
    SpawnReplacement,

    /// <summary>The replacement is ready: it serves from now on, and its predecessor drains.</summary>
    TakeOver,

    /// <summary>Every slot has a new process.</summary>
    Finished,

    /// <summary>The replacement did not become ready, or did not stay; the rest of the pool keeps what it has.</summary>
    Failed,
}

/// <summary>
/// A rolling restart of one pool: slot after slot, each slot's old process stays until the new one is ready, and the next slot's turn
/// comes when the old one is gone. A version that does not come up thus costs nothing and goes no further. Pure: it looks at the
/// slots and says what comes next.
/// </summary>
internal sealed class Rollout(IReadOnlyList<Slot> slots, long startedMs)
{
    /// <summary>Slots that come later have new processes anyway.</summary>
    private readonly int _count = slots.Count;

    public long StartedMs { get; } = startedMs;

    /// <summary>The slot whose turn it is.</summary>
    public int Slot { get; private set; }

    /// <summary>The replacement's generation, or null before it was asked for.</summary>
    public int? Generation { get; private set; }

    public bool HasTakenOver { get; private set; }

    public RolloutStep Next()
    {
        while (Slot < End && (slots[Slot].IsSurplus || (HasTakenOver && slots[Slot].Leaving is null && IsServingReady(slots[Slot]))))
        {
            Slot++;
            Generation = null;
            HasTakenOver = false;
        }

        if (Slot >= End)
        {
            return RolloutStep.Finished;
        }

        var slot = slots[Slot];
        if (Generation is not { } generation)
        {
            // A process of an earlier rolling restart may still drain here, or one that was given up may still go; a slot has room for two.
            return slot.Leaving is null && slot.Incoming is null ? RolloutStep.SpawnReplacement : RolloutStep.Wait;
        }

        return slot.Find(generation) switch
        {
            null => RolloutStep.Failed,
            { State: ProcessState.Ready } when !HasTakenOver => RolloutStep.TakeOver,
            _ => RolloutStep.Wait,
        };
    }

    public void Spawned(int generation) => Generation = generation;

    public void TookOver() => HasTakenOver = true;

    private int End => Math.Min(_count, slots.Count);

    private bool IsServingReady(Slot slot) => slot.Serving is { State: ProcessState.Ready } serving && serving.Key.Generation == Generation;
}
