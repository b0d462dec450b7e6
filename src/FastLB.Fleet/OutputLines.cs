using System.Text;

namespace FastLB.Fleet;

/// <summary>
/// Cuts a worker's output into lines. A line longer than <see cref="MaxLineBytes"/> is passed on in pieces, so nothing is lost and
/// no more than that is held. Bytes that are not UTF-8 become replacement characters. One thread owns it.
/// </summary>
internal sealed class OutputLines(Action<string> line)
{
    public const int MaxLineBytes = 8 * 1024;

    private readonly byte[] _held = new byte[MaxLineBytes];
    private int _length;

    /// <summary>Takes the next bytes and passes on each line that they complete, without its line end.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            // One byte further than there is room, because a line end takes none.
            var room = MaxLineBytes - _length;
            var end = bytes[..Math.Min(bytes.Length, room + 1)].IndexOf((byte)'\n');
            var taken = end < 0 ? Math.Min(bytes.Length, room) : end;
            bytes[..taken].CopyTo(_held.AsSpan(_length));
            _length += taken;
            if (end >= 0)
            {
                bytes = bytes[(end + 1)..];
                Emit(_length);
                continue;
            }

            bytes = bytes[taken..];
            if (!bytes.IsEmpty)
            {
                Emit(WholeCharacters());
            }
        }
    }

    /// <summary>Passes on what stands there without a line end: the process is gone.</summary>
    public void Flush()
    {
        if (_length > 0)
        {
            Emit(_length);
        }
    }

    private void Emit(int length)
    {
        var text = _held.AsSpan(0, length);
        line(Encoding.UTF8.GetString(text is [.., (byte)'\r'] ? text[..^1] : text));
        _held.AsSpan(length, _length - length).CopyTo(_held);
        _length -= length;
    }

    /// <summary>How much of a full buffer can go without cutting a character in two (UTF-8: RFC 3629 3).</summary>
    private int WholeCharacters()
    {
        var start = _length - 1;
        while (start > _length - 4 && (_held[start] & 0xC0) == 0x80)
        {
            start--;
        }

        var needed = _held[start] switch { >= 0xF0 => 4, >= 0xE0 => 3, >= 0xC0 => 2, _ => 1 };
        return start + needed > _length ? start : _length;
    }
}
