namespace FastLB.Simulation;

/// <summary>Bytes in the order in which they came. It grows as needed; whoever fills it keeps the bound.</summary>
internal sealed class ByteQueue
{
    private byte[] _bytes = new byte[256];
    private int _start;
    private int _end;

    internal int Count => _end - _start;

    internal ReadOnlySpan<byte> Span => _bytes.AsSpan(_start, Count);

    internal void Append(ReadOnlySpan<byte> bytes)
    {
        if (_end + bytes.Length > _bytes.Length)
        {
            var target = Count + bytes.Length > _bytes.Length ? new byte[Math.Max(_bytes.Length * 2, Count + bytes.Length)] : _bytes;
            Span.CopyTo(target);
            (_start, _end, _bytes) = (0, Count, target);
        }

        bytes.CopyTo(_bytes.AsSpan(_end));
        _end += bytes.Length;
    }

    internal void Drop(int count)
    {
        _start += count;
        if (_start == _end)
        {
            (_start, _end) = (0, 0);
        }
    }

    internal void Clear() => (_start, _end) = (0, 0);
}
