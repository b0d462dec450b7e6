using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>
/// How much is under way, over all loops. Every loop writes a cell of its own, a cache line pair from the next; what the others have
/// is looked up at most once per millisecond, because each look fetches their lines from the cores that have just written them.
/// </summary>
public sealed class InFlightCount
{
    private const int Stride = OwnCacheLines.Bytes / sizeof(long);
    private const int OwnCell = 0;
    private const int ElsewhereCell = 1;
    private const int LookedCell = 2;

    private readonly long[] _cells;
    private readonly int _loops;

    public InFlightCount(int loops)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(loops, 1);
        _loops = loops;

        // One stride ahead of the first cell keeps the array's header out of the first loop's lines.
        _cells = new long[(loops + 1) * Stride];
        for (var loop = 0; loop < loops; loop++)
        {
            _cells[CellOf(loop) + LookedCell] = long.MinValue;
        }
    }

    /// <summary>All loops' together. Any thread.</summary>
    public long Total
    {
        get
        {
            var sum = 0L;
            for (var loop = 0; loop < _loops; loop++)
            {
                sum += Volatile.Read(ref _cells[CellOf(loop)]);
            }

            return sum;
        }
    }

    /// <summary>Loop <paramref name="loop"/>'s own at this moment, and the others' as they were at its first look in this millisecond. Only that loop calls it.</summary>
    public long SeenBy(int loop, long nowMs)
    {
        var cell = CellOf(loop);
        if (_loops > 1 && _cells[cell + LookedCell] != nowMs)
        {
            _cells[cell + LookedCell] = nowMs;
            _cells[cell + ElsewhereCell] = Total - _cells[cell];
        }

        return _cells[cell] + _cells[cell + ElsewhereCell];
    }

    /// <summary>Only loop <paramref name="loop"/> calls it with its own number.</summary>
    public void Begin(int loop) => Volatile.Write(ref _cells[CellOf(loop) + OwnCell], _cells[CellOf(loop)] + 1);

    /// <summary>Exactly once per <see cref="Begin"/>.</summary>
    public void End(int loop)
    {
        Invariant.That(_cells[CellOf(loop)] > 0, "what ends has begun");
        Volatile.Write(ref _cells[CellOf(loop)], _cells[CellOf(loop)] - 1);
    }

    private static int CellOf(int loop) => (loop + 1) * Stride;
}
