using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The buffers from which the kernel takes one when bytes arrive (io_uring_register(2), IORING_REGISTER_PBUF_RING): a peer that waits
/// holds none. They are lent by the loop's pool, last in first out, so that a filled one is replaced by one that is still in the cache;
/// the ring itself is first in first out, which is why it is short. When the pool lends no more the ring runs dry, receives end with
/// -ENOBUFS, and the loop feeds their peers when buffers have come back.
/// </summary>
internal sealed unsafe class ReceiveBuffers : IDisposable
{
    private readonly BufferPool _pool;
    private readonly bool _large;
    private readonly BufferEntry* _entries;
    private readonly nint _length;
    private readonly LoopBuffer?[] _lent;
    private readonly ushort _firstId;
    private readonly ushort[] _freeIds;
    private int _freeCount;
    private ushort _tail;

    private ReceiveBuffers(BufferPool pool, bool large, int count, ushort firstId, BufferEntry* entries)
    {
        _pool = pool;
        _large = large;
        _entries = entries;
        _length = count * sizeof(BufferEntry);
        _lent = new LoopBuffer?[count];
        _firstId = firstId;
        _freeIds = new ushort[count];
        for (var i = 0; i < count; i++)
        {
            _freeIds[_freeCount++] = (ushort)(count - 1 - i);
        }
    }

    /// <summary>The kernel's number for this set of buffers.</summary>
    internal ushort Group => _large ? (ushort)1 : (ushort)0;

    /// <summary>True when the kernel has no buffer of this set left.</summary>
    internal bool IsDry => _freeCount == _lent.Length;

    /// <summary>Registers an empty ring of <paramref name="count"/> buffers, a power of two, whose ids count from <paramref name="firstId"/>.</summary>
    internal static int TryRegister(Ring ring, BufferPool pool, bool large, int count, ushort firstId, out ReceiveBuffers? buffers)
    {
        buffers = null;
        var length = count * sizeof(BufferEntry);
        var entries = (BufferEntry*)Libc.MapMemory(length);
        if (entries is null)
        {
            return -IoError.OutOfMemory;
        }

        var made = new ReceiveBuffers(pool, large, count, firstId, entries);
        var register = new BufferRingRegister { Address = (ulong)entries, Entries = (uint)count, Group = made.Group };
        var result = ring.Register(UringAbi.RegisterBufferRing, &register, 1);
        if (result < 0)
        {
            made.Dispose();
            return result;
        }

        buffers = made;
        return 0;
    }

    /// <summary>Whether a filled buffer is of this set.</summary>
    internal bool Owns(int id) => id >= _firstId && id < _firstId + _lent.Length;

    /// <summary>The buffer that the kernel filled. Its place stays empty until the next <see cref="Refill"/>.</summary>
    internal LoopBuffer Take(int id)
    {
        var index = id - _firstId;
        var buffer = _lent[index];
        Invariant.That(buffer is not null, "the kernel fills what was lent to it");
        _lent[index] = null;
        _freeIds[_freeCount++] = (ushort)index;
        _pool.Deliver(buffer);
        return buffer;
    }

    /// <summary>Lends the kernel as much as it may have and the pool gives. False when it has nothing afterwards.</summary>
    internal bool Refill()
    {
        while (_freeCount > 0 && _pool.CanLend(_large))
        {
            var buffer = _pool.TryLend(_large)!;
            var index = _freeIds[--_freeCount];
            _lent[index] = buffer;
            var entry = _entries + (_tail++ & (_lent.Length - 1));

            // Not the whole entry: the last two bytes of the first one are the ring's tail.
            entry->Address = (ulong)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(buffer.Memory)) + LoopBuffer.DataOffset;
            entry->Length = (uint)buffer.DataCapacity;
            entry->Id = (ushort)(_firstId + index);
        }

        Volatile.Write(ref _entries->Reserved, _tail);
        return !IsDry;
    }

    /// <summary>Frees the ring's memory; the kernel must not use it any more. The buffers themselves are the pool's.</summary>
    public void Dispose() => Libc.Unmap((byte*)_entries, _length);
}
