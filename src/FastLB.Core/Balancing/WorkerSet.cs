namespace FastLB.Core.Balancing;

/// <summary>
/// The workers of one pool at one moment: an immutable snapshot. Who publishes a new one puts a ready worker in
/// <see cref="Ready"/>, and one that finishes its sessions but gets no new ones in <see cref="Draining"/>.
/// </summary>
public sealed class WorkerSet
{
    public WorkerSet(IEnumerable<Worker> ready, IEnumerable<Worker> draining)
    {
        Ready = [.. ready];
        Draining = [.. draining];
    }

    public static WorkerSet Empty { get; } = new([], []);

    /// <summary>Workers that take new requests.</summary>
    public Worker[] Ready { get; }

    /// <summary>
    /// Workers that only keep the sessions that they have. A slot whose replacement is ready belongs to the replacement.
    /// </summary>
    public Worker[] Draining { get; }
}
