namespace FastLB.Core.Loop;

/// <summary>
/// One piece of pinned memory that a loop lends out, counted by references. A receive completion hands one reference to
/// the peer; a send takes one and keeps it until its completion, so memory that the kernel may still read is never
/// given to somebody else. Only the loop's thread touches it.
/// <para>
/// Received bytes start at <see cref="DataOffset"/>: the room before them takes a rewritten head or a chunk size, the room
/// behind <see cref="DataEnd"/> a chunk's closing line, so that framing is written in place and goes out in one call.
/// </para>
/// </summary>
public sealed class LoopBuffer
{
    /// <summary>Room before the data, in bytes. A rewritten head never grows by more than this.</summary>
    public const int DataOffset = 1024;

    /// <summary>Room behind the data, in bytes: CRLF, the last chunk and its blank line.</summary>
    public const int TailRoom = 16;

    private readonly BufferPool _owner;
    private int _references;

    internal LoopBuffer(BufferPool owner, int dataCapacity)
    {
        _owner = owner;
        DataCapacity = dataCapacity;
        Memory = GC.AllocateUninitializedArray<byte>(DataOffset + dataCapacity + TailRoom, pinned: true);
    }

    /// <summary>The whole array, pinned for as long as it lives.</summary>
    public byte[] Memory { get; }

    /// <summary>How many received bytes it takes.</summary>
    public int DataCapacity { get; }

    /// <summary>The first offset that received data never reaches.</summary>
    public int DataEnd => DataOffset + DataCapacity;

    /// <summary>How many references are out.</summary>
    public int References => _references;

    internal LoopBuffer? NextFree { get; set; }

    /// <summary>The buffer that was received after this one, while both wait for their peer to ask for them.</summary>
    internal LoopBuffer? NextHeld { get; set; }

    /// <summary>How many bytes were received into a buffer that waits.</summary>
    internal int HeldLength { get; set; }

    public Span<byte> Span(int start, int end) => Memory.AsSpan(start, end - start);

    /// <summary>Adds a reference; each needs its own <see cref="Release"/>.</summary>
    public void Retain()
    {
        Invariant.That(_references > 0, "only a rented buffer is retained");
        _references++;
    }

    /// <summary>Gives a reference back; the last one returns the buffer to its pool.</summary>
    public void Release()
    {
        Invariant.That(_references > 0, "a buffer is released once per reference");
        if (--_references == 0)
        {
            _owner.Return(this);
        }
    }

    internal void MarkRented()
    {
        Invariant.That(_references == 0, "a free buffer has no references");
        _references = 1;
    }
}
