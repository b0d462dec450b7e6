using System.Buffers.Binary;
using FastLB.Core.Loop;

namespace FastLB.Core.Recording;

/// <summary>
/// Byte records from one thread to another, in order: a ring of fixed size with one producer (a loop) and one consumer (who writes them
/// down). Neither ever waits: the producer is refused when there is no room, and what it wanted to say is counted as dropped. Nothing is allocated after
/// the construction, and there is no lock; each side publishes how far it has come with one release write, and looks at the other's only when
/// what it knew is used up (Lamport, 1977; the remembered indices are those of Lee, Bu and Chandranmenon's MCRingBuffer, 2010).
/// <para>
/// A record lies in one piece and begins at a multiple of eight bytes, behind its length. Where the rest of the ring is too short for one, the
/// length -1 says that it goes on at the beginning.
/// </para>
/// </summary>
public sealed class RecordRing
{
    private const int LengthBytes = sizeof(int);
    private const int Alignment = 8;
    private const int GoesOnAtBeginning = -1;

    private readonly byte[] _bytes;
    private readonly Side _producer = new();
    private readonly Side _consumer = new();
    private long _dropped;

    /// <param name="capacity">Bytes, a power of two from 64 on. The longest record is a quarter of it.</param>
    public RecordRing(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 64);
        if (!System.Numerics.BitOperations.IsPow2(capacity))
        {
            throw new ArgumentException("a ring's capacity is a power of two", nameof(capacity));
        }

        // Not cleared: memory that was never used is not resident.
        _bytes = GC.AllocateUninitializedArray<byte>(capacity);
    }

    /// <summary>The longest record, in bytes.</summary>
    public int MaxRecordBytes => (_bytes.Length / 4) - Alignment;

    /// <summary>Records for which there was no room. Any thread.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>
    /// Room for a record of exactly <paramref name="length"/> bytes, which exists for the consumer from <see cref="Commit"/> on. False, and one more is dropped,
    /// when there is none. Only the producer's thread.
    /// </summary>
    public bool TryReserve(int length, out Span<byte> record)
    {
        Invariant.That(length >= 0 && length <= MaxRecordBytes, "a record fits into a quarter of its ring");
        Invariant.That(_producer.Reserved == 0, "a record is committed before the next one is begun");
        var needed = SizeOf(length);
        var position = _producer.Position;
        var offset = OffsetOf(position);
        var skipped = offset + needed > _bytes.Length ? _bytes.Length - offset : 0;
        if (position + skipped + needed - _producer.Seen > _bytes.Length)
        {
            _producer.Seen = Volatile.Read(ref _consumer.Position);
            if (position + skipped + needed - _producer.Seen > _bytes.Length)
            {
                Volatile.Write(ref _dropped, _dropped + 1);
                record = default;
                return false;
            }
        }

        if (skipped > 0)
        {
            BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(offset), GoesOnAtBeginning);
            offset = 0;
        }

        BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(offset), length);
        _producer.Reserved = skipped + needed;
        record = _bytes.AsSpan(offset + LengthBytes, length);
        return true;
    }

    /// <summary>The record that was reserved is written. Only the producer's thread.</summary>
    public void Commit()
    {
        Invariant.That(_producer.Reserved > 0, "what is committed was reserved");
        var end = _producer.Position + _producer.Reserved;
        _producer.Reserved = 0;
        Volatile.Write(ref _producer.Position, end);
    }

    /// <summary>The oldest record, which stays as it is until <see cref="Release"/>; false when there is none. Only the consumer's thread.</summary>
    public bool TryRead(out ReadOnlySpan<byte> record)
    {
        Invariant.That(_consumer.Reserved == 0, "a record is released before the next one is read");
        var position = _consumer.Position;
        if (position == _consumer.Seen)
        {
            _consumer.Seen = Volatile.Read(ref _producer.Position);
            if (position == _consumer.Seen)
            {
                record = default;
                return false;
            }
        }

        var offset = OffsetOf(position);
        var skipped = 0;
        var length = BinaryPrimitives.ReadInt32LittleEndian(_bytes.AsSpan(offset));
        if (length == GoesOnAtBeginning)
        {
            skipped = _bytes.Length - offset;
            offset = 0;
            length = BinaryPrimitives.ReadInt32LittleEndian(_bytes);
        }

        _consumer.Reserved = skipped + SizeOf(length);
        record = _bytes.AsSpan(offset + LengthBytes, length);
        return true;
    }

    /// <summary>The record that was read is not needed any more. Only the consumer's thread.</summary>
    public void Release()
    {
        Invariant.That(_consumer.Reserved > 0, "what is released was read");
        var end = _consumer.Position + _consumer.Reserved;
        _consumer.Reserved = 0;
        Volatile.Write(ref _consumer.Position, end);
    }

    private static int SizeOf(int length) => (LengthBytes + length + Alignment - 1) & -Alignment;

    private int OffsetOf(long position) => (int)(position & (_bytes.Length - 1));

    /// <summary>What one side writes, apart from what the other one writes.</summary>
    private sealed class Side : OwnCacheLines
    {
        /// <summary>Bytes that this side is done with since the beginning; the other side reads it.</summary>
        internal long Position;

        /// <summary>The other side's position when this one looked last.</summary>
        internal long Seen;

        /// <summary>Bytes of the record that this side is at, with what is skipped before it.</summary>
        internal int Reserved;
    }
}
