using System.Runtime.CompilerServices;
using System.Text;

namespace FastLB.Core.Http;

/// <summary>
/// What the Connection header lines of a head say (RFC 9110 7.6.1), read once by the rules. It keeps offsets, no bytes: whoever
/// asks <see cref="Names"/> passes the bytes of the same head.
/// <para>
/// Besides close, keep-alive and upgrade at most <see cref="MaxNamed"/> headers may be named. Each header line of the head is
/// compared with each of them, so a message that names thousands would cost a loop milliseconds; it is refused.
/// </para>
/// </summary>
public struct ConnectionOptions
{
    /// <summary>The most headers that a head may name as meant for the next hop only. Usual are none or one.</summary>
    public const int MaxNamed = 16;

    private NamedHeaders _named;

    public bool Close { get; private set; }

    public bool KeepAlive { get; private set; }

    public bool Upgrade { get; private set; }

    /// <summary>How many other headers are named. At 0, the usual case, nobody has to ask <see cref="Names"/>.</summary>
    public int NamedCount { get; private set; }

    /// <summary>
    /// Whether a Connection line named this header, so that it must not be passed on. Case does not count. False for Close,
    /// Keep-Alive and Upgrade, which have their own properties and are hop-by-hop whatever Connection says.
    /// </summary>
    public readonly bool Names(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> headerName)
    {
        for (var i = 0; i < NamedCount; i++)
        {
            var (start, length) = _named[i];
            if (length == headerName.Length && Ascii.EqualsIgnoreCase(bytes.Slice(start, length), headerName))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Reads the lines of <paramref name="head"/>; refuses only a head that names too many headers. An element that is empty or
    /// no token names nothing and is passed over.
    /// </summary>
    internal static Refusal Read(ReadOnlySpan<byte> bytes, MessageHead head, out ConnectionOptions options)
    {
        options = default;
        if (!head.Has(HeaderId.Connection))
        {
            return Refusal.None;
        }

        if (!head.Repeats(HeaderId.Connection))
        {
            return options.ReadLine(bytes, head.First(HeaderId.Connection));
        }

        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id == HeaderId.Connection && options.ReadLine(bytes, line) is var refusal and not Refusal.None)
            {
                return refusal;
            }
        }

        return Refusal.None;
    }

    private Refusal ReadLine(ReadOnlySpan<byte> bytes, in HeaderLine line)
    {
        var end = line.ValueStart + line.ValueLength;
        for (var start = (int)line.ValueStart; start < end;)
        {
            if (bytes[start] == ',' || HeaderSection.IsBlank(bytes[start]))
            {
                start++;
                continue;
            }

            var length = bytes[start..end].IndexOf((byte)',');
            var option = (length < 0 ? bytes[start..end] : bytes.Slice(start, length)).TrimEnd(" \t"u8);
            if (Take(option, start) is var refusal and not Refusal.None)
            {
                return refusal;
            }

            start = length < 0 ? end : start + length + 1;
        }

        return Refusal.None;
    }

    private Refusal Take(ReadOnlySpan<byte> option, int start)
    {
        if (HeadText.Is(option, "keep-alive"u8))
        {
            KeepAlive = true;
        }
        else if (HeadText.Is(option, "close"u8))
        {
            Close = true;
        }
        else if (HeadText.Is(option, "upgrade"u8))
        {
            Upgrade = true;
        }
        else if (ByteScan.TokenEnd(option, 0) == option.Length)
        {
            if (NamedCount == MaxNamed)
            {
                return Refusal.TooManyConnectionOptions;
            }

            _named[NamedCount++] = ((ushort)start, (ushort)option.Length);
        }

        return Refusal.None;
    }

    [InlineArray(MaxNamed)]
    private struct NamedHeaders
    {
        private (ushort Start, ushort Length) _first;
    }
}
