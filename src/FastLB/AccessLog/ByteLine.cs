using System.Buffers.Text;

namespace FastLB.AccessLog;

/// <summary>Text in UTF-8 under construction, in memory that grows once and stays. One thread owns it.</summary>
internal sealed class ByteLine(int capacity)
{
    private const long NsPerMicrosecond = 1_000;

    private byte[] _bytes = new byte[capacity];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Length);

    public void Clear() => Length = 0;

    public void Append(byte value)
    {
        Room(1)[0] = value;
        Length++;
    }

    public void Append(ReadOnlySpan<byte> text)
    {
        text.CopyTo(Room(text.Length));
        Length += text.Length;
    }

    public void Append(long number)
    {
        Utf8Formatter.TryFormat(number, Room(20), out var written);
        Length += written;
    }

    /// <summary>As many digits as are wanted, with zeros in front.</summary>
    public void AppendDigits(long number, byte digits)
    {
        Utf8Formatter.TryFormat(number, Room(20), out var written, new System.Buffers.StandardFormat('D', digits));
        Length += written;
    }

    /// <summary>Sixteen hexadecimal digits.</summary>
    public void AppendHex(ulong number)
    {
        Utf8Formatter.TryFormat(number, Room(16), out var written, new System.Buffers.StandardFormat('x', 16));
        Length += written;
    }

    /// <summary>Nanoseconds as milliseconds with three decimals.</summary>
    public void AppendMs(long nanoseconds)
    {
        var (ms, us) = Math.DivRem(Math.Max(0, nanoseconds) / NsPerMicrosecond, 1_000);
        Append(ms);
        var room = Room(4);
        room[0] = (byte)'.';
        room[1] = (byte)('0' + (us / 100));
        room[2] = (byte)('0' + (us / 10 % 10));
        room[3] = (byte)('0' + (us % 10));
        Length += 4;
    }

    /// <summary>At least so many bytes behind what is written; the caller says how many of them count by <see cref="Advance"/>.</summary>
    public Span<byte> Room(int bytes)
    {
        if (_bytes.Length - Length < bytes)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, Length + bytes));
        }

        return _bytes.AsSpan(Length);
    }

    public void Advance(int bytes) => Length += bytes;
}
