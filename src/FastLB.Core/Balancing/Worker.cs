using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Balancing;

/// <summary>
/// One member of a pool. Its identity never changes: a restarted process is a new worker in the same slot with the next
/// generation. The counters have one cell per loop, a cache line pair apart; only that loop writes its cell, and everybody
/// may read them all.
/// </summary>
public sealed class Worker
{
    /// <summary>
    /// Longs from one loop's cells to the next: 192 bytes, of which 104 are used, so that no line holds cells of two loops wherever the array lies.
    /// </summary>
    private const int Stride = 24;

    // What a choice reads comes first, so that it fetches as few lines as may be.
    private const int InFlightCell = 0;
    private const int InFlightElsewhereCell = 1;
    private const int LookedElsewhereCell = 2;
    private const int ResponseCell = 3;
    private const int ResponseMeasuredCell = 4;
    private const int TurnCell = 5;
    private const int RequestsCell = 6;
    private const int FailuresCell = 7;
    private const int AnswersCell = 8;
    private const int AnswerNanosecondsCell = 9;
    private const int ServerErrorsCell = 10;
    private const int SlowAnswersCell = 11;
    private const int FailuresInARowCell = 12;

    private readonly long[] _cells;
    private readonly int _loops;
    private int _weight;
    private readonly long _slowNanoseconds;

    /// <param name="settings">What guards it; null: nothing.</param>
    public Worker(string poolName, int slot, int generation, Endpoint endpoint, int loops, int weight = 1, PoolSettings? settings = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(slot);
        ArgumentOutOfRangeException.ThrowIfLessThan(loops, 1);
        PoolName = poolName;
        Slot = slot;
        Generation = generation;
        Endpoint = endpoint;
        _weight = weight;
        ConfiguredWeight = weight;
        _slowNanoseconds = settings?.Breaker is { SlowAfterMs: > 0 and var slowAfterMs } ? slowAfterMs * 1_000_000L : long.MaxValue;
        Breaker = settings?.Breaker is { } breaker ? new CircuitBreaker(breaker.Circuit) : null;
        RequestLimit = settings?.Limits is { WorkerRequests: > 0 and var requests } ? new AtomicLimit(requests) : null;
        ConnectionLimit = settings?.Limits is { WorkerConnections: > 0 and var connections } ? new AtomicLimit(connections) : null;
        Name = $"{poolName}/{slot}";
        _loops = loops;

        // One stride ahead of the first cell keeps the array's header out of the first loop's lines.
        _cells = new long[(loops + 1) * Stride];
        for (var loop = 0; loop < loops; loop++)
        {
            _cells[CellOf(loop) + LookedElsewhereCell] = long.MinValue;
            SetResponse(loop, PeakEwma.Never);
        }
    }

    private Worker(Worker before, PoolSettings settings, int zone)
        : this(before.PoolName, before.Slot, before.Generation, before.Endpoint, before._loops, before.ConfiguredWeight, settings)
    {
        _cells = before._cells;
        Zone = zone;
    }

    /// <summary>
    /// The same worker under other settings: its breaker and limits are new, its counts go on, so that what is in flight there is known whichever of the two it
    /// was sent to.
    /// </summary>
    public Worker Under(PoolSettings settings, int zone = -1) => new(this, settings, zone);

    /// <summary>Whether both stand for one worker, be it under different settings.</summary>
    public bool IsSameAs(Worker? other) => other is not null && ReferenceEquals(_cells, other._cells);

    public string PoolName { get; }

    /// <summary>The stable place in the pool that sticky cookies name.</summary>
    public int Slot { get; }

    /// <summary>How often the slot's process was replaced, from 1; 0 for a worker that FastLB only reaches.</summary>
    public int Generation { get; }

    public Endpoint Endpoint { get; }

    /// <summary>Its share beside the others', from 1. Changes while requests flow; any thread.</summary>
    public int Weight
    {
        get => Volatile.Read(ref _weight);
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            Volatile.Write(ref _weight, value);
        }
    }

    /// <summary>The weight that it has unless the operator gives it another. Written by who publishes it.</summary>
    public int ConfiguredWeight { get; set; }

    /// <summary>The number of the zone that it stands in, -1 for none.</summary>
    public int Zone { get; init; } = -1;

    /// <summary>Null where the pool has none.</summary>
    public CircuitBreaker? Breaker { get; }

    /// <summary>For requests and tunnels over all loops; null where there is no limit.</summary>
    public AtomicLimit? RequestLimit { get; }

    /// <summary>For connections over all loops, idle ones included; null where there is no limit.</summary>
    public AtomicLimit? ConnectionLimit { get; }

    /// <summary><c>pool/slot</c>, as logs and the worker's environment name it.</summary>
    public string Name { get; }

    /// <summary>Requests and tunnels that a loop sent here and that have not ended.</summary>
    public long InFlight => Sum(InFlightCell);

    /// <summary>Requests and tunnels sent here since the worker exists.</summary>
    public long Requests => Sum(RequestsCell);

    /// <summary>Of those, the ones that this worker failed: no connection, no answer, or a broken one.</summary>
    public long Failures => Sum(FailuresCell);

    /// <summary>
    /// In flight as loop <paramref name="loop"/> sees it when it chooses: its own at this moment, and those of the other loops as they were
    /// at its first look in this millisecond. Looking anew for each request would fetch as many cache lines as there are loops
    /// from the cores that have just written them. Only that loop calls it.
    /// </summary>
    public long InFlightSeenBy(int loop, long nowMs)
    {
        var cell = CellOf(loop);
        if (_loops > 1 && _cells[cell + LookedElsewhereCell] != nowMs)
        {
            _cells[cell + LookedElsewhereCell] = nowMs;
            _cells[cell + InFlightElsewhereCell] = Sum(InFlightCell) - _cells[cell + InFlightCell];
        }

        return _cells[cell + InFlightCell] + _cells[cell + InFlightElsewhereCell];
    }

    /// <summary>A loop begins a request here. Only loop <paramref name="loop"/> calls it with its own number.</summary>
    public void Begin(int loop)
    {
        var cell = CellOf(loop);
        Volatile.Write(ref _cells[cell + InFlightCell], _cells[cell + InFlightCell] + 1);
        Volatile.Write(ref _cells[cell + RequestsCell], _cells[cell + RequestsCell] + 1);
    }

    /// <summary>That request ended. Exactly once per <see cref="Begin"/>.</summary>
    public void End(int loop, bool failed)
    {
        var cell = CellOf(loop);
        Invariant.That(_cells[cell + InFlightCell] > 0, "a request ends at a worker once");
        Volatile.Write(ref _cells[cell + InFlightCell], _cells[cell + InFlightCell] - 1);
        if (failed)
        {
            Volatile.Write(ref _cells[cell + FailuresCell], _cells[cell + FailuresCell] + 1);
        }
    }

    /// <summary>Answers that began here since the worker exists, whatever their status.</summary>
    public long Answers => Sum(AnswersCell);

    /// <summary>Nanoseconds that those took to begin, together.</summary>
    public long AnswerNanoseconds => Sum(AnswerNanosecondsCell);

    /// <summary>Of those, the ones with a status of 500 and above.</summary>
    public long ServerErrors => Sum(ServerErrorsCell);

    /// <summary>Answers that took longer to begin than the pool's breaker likes.</summary>
    public long SlowAnswers => Sum(SlowAnswersCell);

    /// <summary>All of that together, for who judges it over time.</summary>
    public Sample Sample => new(Answers + Failures, ServerErrors + Failures, SlowAnswers, AnswerNanoseconds);

    /// <summary>
    /// Requests that failed, or were answered with 500 and above, since one was answered well. Each loop counts for itself and only its own successes end its count, so the
    /// sum is exact while everything fails, which is what it is for.
    /// </summary>
    public int FailuresInARow => (int)Math.Min(int.MaxValue, Sum(FailuresInARowCell));

    /// <summary>
    /// An answer began <paramref name="nanoseconds"/> after its request was sent. An error, or a refusal (429), counts as slow in <see cref="ResponseSeenBy"/>, or a worker
    /// that fails at once would look like the best. Only loop <paramref name="loop"/> calls it with its own number.
    /// </summary>
    public void NoteAnswer(int loop, long nowMs, long nanoseconds, bool isServerError, bool isRefusal = false)
    {
        Invariant.That(nanoseconds >= 0, "no answer begins before its request");
        var cell = CellOf(loop);
        Volatile.Write(ref _cells[cell + AnswersCell], _cells[cell + AnswersCell] + 1);
        Volatile.Write(ref _cells[cell + AnswerNanosecondsCell], _cells[cell + AnswerNanosecondsCell] + nanoseconds);
        if (nanoseconds >= _slowNanoseconds)
        {
            Volatile.Write(ref _cells[cell + SlowAnswersCell], _cells[cell + SlowAnswersCell] + 1);
        }

        if (isServerError)
        {
            Volatile.Write(ref _cells[cell + ServerErrorsCell], _cells[cell + ServerErrorsCell] + 1);
            Volatile.Write(ref _cells[cell + FailuresInARowCell], _cells[cell + FailuresInARowCell] + 1);
        }
        else if (_cells[cell + FailuresInARowCell] != 0)
        {
            Volatile.Write(ref _cells[cell + FailuresInARowCell], 0);
        }

        SetResponse(loop, isServerError || isRefusal ? Response(loop).AfterFailure(nanoseconds, nowMs) : Response(loop).After(nanoseconds, nowMs));
    }

    /// <summary>An attempt got no answer, or a broken one. It counts as slow. Only loop <paramref name="loop"/> calls it with its own number.</summary>
    public void NoteFailure(int loop, long nowMs)
    {
        var cell = CellOf(loop);
        Volatile.Write(ref _cells[cell + FailuresInARowCell], _cells[cell + FailuresInARowCell] + 1);
        SetResponse(loop, Response(loop).AfterFailure(0, nowMs));
    }

    /// <summary>
    /// How many nanoseconds an answer takes, as loop <paramref name="loop"/> has measured it (<see cref="PeakEwma"/>); 0 when it has not measured
    /// any of late. Each loop goes by its own measures, so nothing is fetched from other cores. Only that loop calls it.
    /// </summary>
    public double ResponseSeenBy(int loop, long nowMs) => Response(loop).At(nowMs);

    /// <summary>
    /// Moves the worker's turn in the loop's weighted round robin (<see cref="WeightedRoundRobin"/>) and returns it. Kept here, because then a worker
    /// brings its turn along whichever set of workers it is chosen from. Only loop <paramref name="loop"/> calls it.
    /// </summary>
    /// <param name="bound">The turn stays within plus and minus this.</param>
    internal long MoveTurn(int loop, long by, long bound)
    {
        ref var turn = ref _cells[CellOf(loop) + TurnCell];
        return turn = Math.Clamp(turn + by, -bound, bound);
    }

    public override string ToString() => Generation == 0 ? $"{Name} at {Endpoint}" : $"{Name} generation {Generation} at {Endpoint}";

    private PeakEwma Response(int loop)
    {
        var cell = CellOf(loop);
        return new PeakEwma(BitConverter.Int64BitsToDouble(_cells[cell + ResponseCell]), _cells[cell + ResponseMeasuredCell]);
    }

    private void SetResponse(int loop, PeakEwma response)
    {
        var cell = CellOf(loop);
        _cells[cell + ResponseCell] = BitConverter.DoubleToInt64Bits(response.Nanoseconds);
        _cells[cell + ResponseMeasuredCell] = response.MeasuredMs;
    }

    private static int CellOf(int loop) => (loop + 1) * Stride;

    private long Sum(int offset)
    {
        var sum = 0L;
        for (var loop = 0; loop < _loops; loop++)
        {
            sum += Volatile.Read(ref _cells[CellOf(loop) + offset]);
        }

        return sum;
    }
}
