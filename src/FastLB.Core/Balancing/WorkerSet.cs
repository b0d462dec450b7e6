using FastLB.Core.Resilience;

namespace FastLB.Core.Balancing;

/// <summary>
/// The workers of one pool at one moment: an immutable snapshot. Who publishes a new one puts a ready worker in
/// <see cref="Ready"/>, and one that finishes its sessions but gets no new ones in <see cref="Draining"/>.
/// </summary>
public sealed class WorkerSet
{
    public WorkerSet(IEnumerable<Worker> ready, IEnumerable<Worker> draining)
        : this([.. ready], [.. draining], [], isPanicking: false)
    {
    }

    private WorkerSet(Worker[] ready, Worker[] draining, Worker[] unfit, bool isPanicking)
    {
        Ready = ready;
        Draining = draining;
        Unfit = unfit;
        IsPanicking = isPanicking;
    }

    public static WorkerSet Empty { get; } = new([], []);

    /// <summary>Workers that take new requests.</summary>
    public Worker[] Ready { get; }

    /// <summary>
    /// Workers that only keep the sessions that they have. A slot whose replacement is ready belongs to the replacement.
    /// </summary>
    public Worker[] Draining { get; }

    /// <summary>Workers that are there and get nothing, because checks or their answers speak against them.</summary>
    public Worker[] Unfit { get; }

    /// <summary>True when so many are unfit that all are used all the same; then <see cref="Unfit"/> workers stand in <see cref="Ready"/> as well.</summary>
    public bool IsPanicking { get; }

    /// <summary>
    /// The same workers without those that are unfit. When too few would be left for the load, the judgement is not trusted and all are used
    /// (the panic threshold of Envoy); the last worker is never taken away.
    /// </summary>
    /// <param name="unfit">Those that are unfit; others than the ready ones do not matter.</param>
    /// <param name="panicShare">The share of fit workers, from 0 to 1, under which all are used.</param>
    public WorkerSet Without(IReadOnlySet<Worker> unfit, double panicShare)
    {
        Worker[] bad = [.. Ready.Where(unfit.Contains)];
        if (bad.Length == 0)
        {
            return this;
        }

        Worker[] good = [.. Ready.Where(w => !unfit.Contains(w))];
        return good.Length == 0 || PanicMode.Applies(good.Length, Ready.Length, panicShare)
            ? new WorkerSet(Ready, Draining, bad, isPanicking: true)
            : new WorkerSet(good, Draining, bad, isPanicking: false);
    }
}
