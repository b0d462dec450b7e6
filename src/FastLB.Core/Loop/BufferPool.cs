namespace FastLB.Core.Loop;

/// <summary>
/// A loop's buffers in three sizes, last in first out so that the hot ones stay in the cache. It grows on demand up to its
/// limits and never shrinks. Past a limit the answer is null, which is a designed state: receivers make do with a smaller buffer
/// and wait only when those are short, too, so that slow peers that hold the large ones take throughput from the others
/// and not their service; who needs a buffer to answer sheds the request.
/// One loop owns it; nothing here is safe from other threads.
/// </summary>
public sealed class BufferPool
{
    /// <summary>
    /// Bytes of data in a large buffer, the most that one direction of one connection holds. With it an answer of 100 KB costs one receive and
    /// one send; at 64 KB it took two of each and 7 % more CPU.
    /// </summary>
    public const int LargeCapacity = 128 * 1024;

    /// <summary>Bytes of data in a medium buffer: a head with many cookies.</summary>
    public const int MediumCapacity = 16 * 1024;

    /// <summary>Bytes of data in a small buffer: a usual head.</summary>
    public const int SmallCapacity = 4 * 1024;

    private readonly SizeClass _large;
    private readonly SizeClass _medium;
    private readonly SizeClass _small;

    /// <summary>Room for some 20,000 connections that all hold something: at most 135, 70 and 85 MB of each size.</summary>
    public BufferPool()
        : this(largeLimit: 1024, smallLimit: 16_384, mediumLimit: 4096)
    {
    }

    public BufferPool(int largeLimit, int smallLimit, int mediumLimit = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(largeLimit, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(smallLimit, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(mediumLimit);
        _large = new SizeClass(this, LargeCapacity, largeLimit);
        _medium = new SizeClass(this, MediumCapacity, mediumLimit);
        _small = new SizeClass(this, SmallCapacity, smallLimit);
    }

    /// <summary>Buffers that are rented at this moment, of all sizes.</summary>
    public int Rented => _large.Rented + _medium.Rented + _small.Rented;

    /// <summary>How often a rent was refused since the start.</summary>
    public long Refusals { get; private set; }

    /// <summary>False while a receiver has to wait; the loop feeds those that do when it is true again.</summary>
    public bool HasForReceive => _large.HasFree || _medium.HasFree || _small.Free > SmallReserve;

    /// <summary>Small buffers that receivers leave alone, so that there is something to answer and to send requests with.</summary>
    private int SmallReserve => Math.Max(1, _small.Limit / 4);

    /// <summary>A buffer that takes at least <paramref name="dataCapacity"/> bytes with one reference, or null when there is none of that size.</summary>
    public LoopBuffer? TryRent(int dataCapacity)
    {
        Invariant.That(dataCapacity <= LargeCapacity, "no more than a large buffer is asked for");
        var buffer = dataCapacity <= SmallCapacity ? _small.TryTake()
            : dataCapacity <= MediumCapacity ? _medium.TryTake() ?? _large.TryTake()
            : _large.TryTake();
        Refusals += buffer is null ? 1 : 0;
        return buffer;
    }

    /// <summary>The largest buffer that can be had to receive into, or null when the receiver has to wait.</summary>
    public LoopBuffer? TryRentForReceive()
    {
        var buffer = _large.TryTake() ?? _medium.TryTake() ?? (_small.Free > SmallReserve ? _small.TryTake() : null);
        Refusals += buffer is null ? 1 : 0;
        return buffer;
    }

    /// <summary>
    /// A buffer for the kernel to fill when bytes arrive, or null when receivers have to wait. It is lent and not rented: nobody holds
    /// it until <see cref="Deliver"/>.
    /// </summary>
    internal LoopBuffer? TryLend(bool large) => !CanLend(large) ? null : large ? _large.TryLend() : _small.TryLend();

    /// <summary>A receive ended because the kernel had no buffer left.</summary>
    internal void NoteRefusal() => Refusals++;

    /// <summary>Whether <see cref="TryLend"/> would answer a buffer.</summary>
    internal bool CanLend(bool large) => large ? _large.HasFree : _small.Free > SmallReserve;

    /// <summary>The kernel filled a buffer that was lent to it; from now on it is rented, with one reference.</summary>
    internal void Deliver(LoopBuffer buffer) => SizeOf(buffer).Deliver(buffer);

    internal void Return(LoopBuffer buffer) => SizeOf(buffer).Return(buffer);

    private SizeClass SizeOf(LoopBuffer buffer) => buffer.DataCapacity switch
    {
        LargeCapacity => _large,
        MediumCapacity => _medium,
        _ => _small,
    };

    private sealed class SizeClass(BufferPool owner, int capacity, int limit) : OwnCacheLines
    {
        private LoopBuffer? _free;
        private int _created;
        private int _lent;

        public int Limit { get; } = limit;

        public int Rented { get; private set; }

        public int Free => Limit - Rented - _lent;

        public bool HasFree => Free > 0;

        public LoopBuffer? TryTake()
        {
            var buffer = TryRemove();
            if (buffer is not null)
            {
                Rented++;
                buffer.MarkRented();
            }

            return buffer;
        }

        public LoopBuffer? TryLend()
        {
            var buffer = TryRemove();
            _lent += buffer is null ? 0 : 1;
            return buffer;
        }

        public void Deliver(LoopBuffer buffer)
        {
            Invariant.That(_lent > 0, "only a buffer that was lent is delivered");
            _lent--;
            Rented++;
            buffer.MarkRented();
        }

        public void Return(LoopBuffer buffer)
        {
            Rented--;
            buffer.NextFree = _free;
            _free = buffer;
        }

        private LoopBuffer? TryRemove()
        {
            var buffer = _free;
            if (buffer is not null)
            {
                _free = buffer.NextFree;
                buffer.NextFree = null;
            }
            else if (_created < Limit)
            {
                _created++;
                buffer = new LoopBuffer(owner, capacity);
            }

            return buffer;
        }
    }
}
