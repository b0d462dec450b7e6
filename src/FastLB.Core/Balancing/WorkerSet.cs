namespace FastLB.Core.Balancing;

/// <summary>
/// The workers of one pool at one moment: an immutable snapshot. Who publishes a new one puts a ready worker in
/// <see cref="Ready"/>, and one that finishes its sessions but gets no new ones in <see cref="Draining"/>.
/// </summary>
public sealed class WorkerSet
{
    private readonly Worker?[] _bySlot;

    public WorkerSet(IEnumerable<Worker> ready, IEnumerable<Worker> draining)
    {
        Ready = [.. ready];
        Draining = [.. draining];
        var slots = Ready.Concat(Draining).Select(w => w.Slot + 1).DefaultIfEmpty(0).Max();
        _bySlot = new Worker?[slots];
        foreach (var worker in Draining)
        {
            _bySlot[worker.Slot] = worker;
        }

        // A slot that has both (its replacement is up, the old process finishes) belongs to the ready one.
        foreach (var worker in Ready)
        {
            _bySlot[worker.Slot] = worker;
        }
    }

    public static WorkerSet Empty { get; } = new([], []);

    /// <summary>Workers that take new requests.</summary>
    public Worker[] Ready { get; }

    /// <summary>Workers that only keep the sessions that they have.</summary>
    public Worker[] Draining { get; }

    /// <summary>The worker that a sticky cookie with this slot means, or null when the slot has none now.</summary>
    public Worker? InSlot(int slot) => (uint)slot < (uint)_bySlot.Length ? _bySlot[slot] : null;
}
