namespace FastLB.Core.Loop;

/// <summary>
/// A loop's buffers in two sizes, last in first out so that the hot ones stay in the cache. It grows on demand up to
/// its limits and never shrinks; past a limit <see cref="TryRent"/> answers null, which is a designed state: the loop
/// lets receivers wait until a buffer comes back, and who needs one to answer sheds the request.
/// One loop owns it; nothing here is safe from other threads.
/// </summary>
public sealed class BufferPool
{
    /// <summary>Bytes of data in a large buffer, the most that one direction of one connection holds.</summary>
    public const int LargeCapacity = 64 * 1024;

    /// <summary>Bytes of data in a small buffer: a usual head.</summary>
    public const int SmallCapacity = 4 * 1024;

    private readonly int _largeLimit;
    private readonly int _smallLimit;
    private LoopBuffer? _freeLarge;
    private LoopBuffer? _freeSmall;
    private int _createdLarge;
    private int _createdSmall;

    /// <summary>The defaults bound a loop's buffers to 64 MB of large and 40 MB of small ones.</summary>
    public BufferPool(int largeLimit = 1024, int smallLimit = 8192)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(largeLimit, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(smallLimit, 1);
        _largeLimit = largeLimit;
        _smallLimit = smallLimit;
    }

    /// <summary>Buffers that are rented at this moment, of both sizes.</summary>
    public int Rented { get; private set; }

    /// <summary>How often a rent was refused since the start.</summary>
    public long Refusals { get; private set; }

    /// <summary>False while no large buffer can be had; the loop lets receivers wait until it is true again.</summary>
    public bool HasLargeAvailable => _freeLarge is not null || _createdLarge < _largeLimit;

    /// <summary>A buffer that takes at least <paramref name="dataCapacity"/> bytes with one reference, or null when the pool is empty.</summary>
    public LoopBuffer? TryRent(int dataCapacity)
    {
        Invariant.That(dataCapacity <= LargeCapacity, "no more than a large buffer is asked for");
        return dataCapacity <= SmallCapacity
            ? TryTake(ref _freeSmall, ref _createdSmall, _smallLimit, SmallCapacity)
            : TryTake(ref _freeLarge, ref _createdLarge, _largeLimit, LargeCapacity);
    }

    private LoopBuffer? TryTake(ref LoopBuffer? free, ref int created, int limit, int capacity)
    {
        var buffer = free;
        if (buffer is not null)
        {
            free = buffer.NextFree;
            buffer.NextFree = null;
        }
        else if (created < limit)
        {
            created++;
            buffer = new LoopBuffer(this, capacity);
        }
        else
        {
            Refusals++;
            return null;
        }

        Rented++;
        buffer.MarkRented();
        return buffer;
    }

    internal void Return(LoopBuffer buffer)
    {
        Rented--;
        if (buffer.DataCapacity == LargeCapacity)
        {
            buffer.NextFree = _freeLarge;
            _freeLarge = buffer;
        }
        else
        {
            buffer.NextFree = _freeSmall;
            _freeSmall = buffer;
        }
    }
}
