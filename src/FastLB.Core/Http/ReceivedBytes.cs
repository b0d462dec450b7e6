using FastLB.Core.Loop;

namespace FastLB.Core.Http;

/// <summary>
/// Bytes that came from one side and were not used up yet: nothing most of the time, one buffer while a message is
/// incomplete or the other side is slow. Only while a head is put together that came in pieces can there be a second one. Owns one
/// reference to each buffer. Plain data, owned by its connection.
/// </summary>
internal struct ReceivedBytes
{
    private LoopBuffer? _next;
    private int _nextStart;
    private int _nextEnd;

    public LoopBuffer? Buffer { get; private set; }

    public int Start { get; private set; }

    public int End { get; private set; }

    public readonly bool IsEmpty => Buffer is null;

    public readonly int Length => End - Start;

    public readonly ReadOnlySpan<byte> Span => Buffer is null ? default : Buffer.Memory.AsSpan(Start, End - Start);

    /// <summary>
    /// Adds what a receive brought. Bytes that were already held stay in front, in one piece with as many of the new ones as a
    /// large buffer takes. False when a buffer was needed for that and none was left; then the new bytes are lost
    /// and the connection has to end.
    /// </summary>
    public bool Append(LoopBuffer received, int length, BufferPool pool)
    {
        Invariant.That(_next is null, "no third buffer is received");
        if (Buffer is not { } held)
        {
            Adopt(received, LoopBuffer.DataOffset, LoopBuffer.DataOffset + length);
            return true;
        }

        var heldLength = Length;
        if (length <= held.DataEnd - End)
        {
            received.Span(LoopBuffer.DataOffset, LoopBuffer.DataOffset + length).CopyTo(held.Memory.AsSpan(End));
            received.Release();
            End += length;
            return true;
        }

        if (heldLength + length <= received.DataCapacity)
        {
            var memory = received.Memory.AsSpan(LoopBuffer.DataOffset);
            memory[..length].CopyTo(memory[heldLength..]);
            Span.CopyTo(memory);
            held.Release();
            Adopt(received, LoopBuffer.DataOffset, LoopBuffer.DataOffset + heldLength + length);
            return true;
        }

        // Together they are more than either takes: a larger one is filled, and what is left over waits in the second.
        var joined = pool.TryRent(Math.Min(heldLength + length, BufferPool.LargeCapacity));
        if (joined is null)
        {
            received.Release();
            return false;
        }

        Span.CopyTo(joined.Memory.AsSpan(LoopBuffer.DataOffset));
        held.Release();
        var moved = Math.Min(length, joined.DataCapacity - heldLength);
        received.Span(LoopBuffer.DataOffset, LoopBuffer.DataOffset + moved)
            .CopyTo(joined.Memory.AsSpan(LoopBuffer.DataOffset + heldLength));
        Adopt(joined, LoopBuffer.DataOffset, LoopBuffer.DataOffset + heldLength + moved);
        if (moved == length)
        {
            received.Release();
            return true;
        }

        _next = received;
        _nextStart = LoopBuffer.DataOffset + moved;
        _nextEnd = LoopBuffer.DataOffset + length;
        return true;
    }

    /// <summary>Forgets the first bytes; a buffer of which nothing is left is released.</summary>
    public void Consume(int count)
    {
        Invariant.That(count >= 0 && count <= Length, "no more is consumed than was received");
        Start += count;
        if (Start < End || Buffer is null)
        {
            return;
        }

        Buffer.Release();
        Buffer = _next;
        Start = _nextStart;
        End = _nextEnd;
        _next = null;
    }

    /// <summary>
    /// Moves bytes of the second buffer up behind what is left of the first, for a message that reaches over both. False when there
    /// is no second one. Nobody else may be reading the first.
    /// </summary>
    public bool MoveUp()
    {
        if (_next is not { } next || Buffer is not { } held)
        {
            return false;
        }

        Invariant.That(held.References == 1, "bytes move in a buffer that nobody else reads");
        var room = held.Memory.AsSpan(LoopBuffer.DataOffset, held.DataCapacity);
        var length = Length;
        Span.CopyTo(room);
        var moved = Math.Min(room.Length - length, _nextEnd - _nextStart);
        Invariant.That(moved > 0, "a head is smaller than a buffer");
        next.Span(_nextStart, _nextStart + moved).CopyTo(room[length..]);
        Adopt(held, LoopBuffer.DataOffset, LoopBuffer.DataOffset + length + moved);
        _nextStart += moved;
        if (_nextStart == _nextEnd)
        {
            _next = null;
            next.Release();
        }

        return true;
    }

    /// <summary>Moves few bytes out of a large buffer into one that just takes them, for a wait that may be long.</summary>
    public void Compact(BufferPool pool)
    {
        if (Buffer is not { } held || _next is not null || !IsWorthMoving(Length, held)
            || pool.TryRent(Length) is not { } small)
        {
            return;
        }

        Span.CopyTo(small.Memory.AsSpan(LoopBuffer.DataOffset));
        var length = Length;
        held.Release();
        Adopt(small, LoopBuffer.DataOffset, LoopBuffer.DataOffset + length);
    }

    /// <summary>Whether a smaller size than that of their buffer takes so many bytes.</summary>
    internal static bool IsWorthMoving(int length, LoopBuffer buffer) =>
        length <= BufferPool.SmallCapacity ? buffer.DataCapacity > BufferPool.SmallCapacity
        : length <= BufferPool.MediumCapacity && buffer.DataCapacity > BufferPool.MediumCapacity;

    public void Release()
    {
        Buffer?.Release();
        _next?.Release();
        this = default;
    }

    private void Adopt(LoopBuffer buffer, int start, int end)
    {
        Buffer = buffer;
        Start = start;
        End = end;
    }
}
