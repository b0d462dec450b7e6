using System.Buffers.Text;

namespace FastLB.Core.Http;

/// <summary>Appends the parts of a head to a span. What does not fit is noted and not written, so the caller checks once, at the end.</summary>
internal ref struct HeadWriter(Span<byte> destination)
{
    private readonly Span<byte> _destination = destination;

    public int Length { get; private set; }

    public bool Overflowed { get; private set; }

    public void Write(scoped ReadOnlySpan<byte> bytes)
    {
        if (!Overflowed && bytes.TryCopyTo(_destination[Length..]))
        {
            Length += bytes.Length;
            return;
        }

        Overflowed = true;
    }

    public void WriteNumber(long value)
    {
        if (!Overflowed && Utf8Formatter.TryFormat(value, _destination[Length..], out var written))
        {
            Length += written;
            return;
        }

        Overflowed = true;
    }

    /// <summary>Takes back what was written behind <paramref name="length"/>.</summary>
    public void Rewind(int length) => Length = Math.Min(Length, length);
}
