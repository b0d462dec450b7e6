using FastLB.Core.Loop;

namespace FastLB.Core.Http;

public enum ChunkStep : byte
{
    /// <summary>A run of body bytes; ask again with what follows it.</summary>
    Data,

    /// <summary>All bytes were consumed and none of them was body.</summary>
    NeedMore,

    /// <summary>The message ended; what follows belongs to the next one.</summary>
    End,

    Invalid,
}

/// <summary>
/// Reads a chunked body (RFC 9112 7.1) at whatever size it arrives in. It keeps no bytes, only where it stands: 16 bytes that live
/// inside a connection; <c>default</c> is the start of a body. Sizes, extensions and trailers are swallowed, so the body
/// that goes out is framed anew and no worker sees a client's framing.
/// <para>
/// Stricter than the grammar asks: CRLF only (a bare LF in an extension was CVE-2025-55315), no blank around a size, and caps
/// on what carries no data, because a body of empty extensions would otherwise be free work for a client to give.
/// </para>
/// </summary>
public struct ChunkedReader
{
    /// <summary>The most hexadecimal digits of a size, so that no size overflows: below 2^60 bytes.</summary>
    public const int MaxSizeDigits = 15;

    /// <summary>The most bytes of extensions in one message, over all its chunks.</summary>
    public const int MaxExtensionBytes = 4 * 1024;

    /// <summary>The most bytes of the trailer section, with the line ends and the blank line.</summary>
    public const int MaxTrailerBytes = 8 * 1024;

    private enum State : byte
    {
        Size,
        Extension,
        SizeLineFeed,
        Data,
        DataCarriageReturn,
        DataLineFeed,
        TrailerStart,
        TrailerName,
        TrailerValue,
        TrailerLineFeed,
        LastLineFeed,
        Over,
    }

    /// <summary>The size while it is read, then the data bytes of the chunk that are still to come.</summary>
    private long _remaining;
    private ushort _extensionBytes;
    private ushort _trailerBytes;
    private byte _sizeDigits;
    private State _state;

    /// <summary>
    /// Takes bytes from the start of <paramref name="bytes"/> and says with <paramref name="consumed"/> how many. After Data the run stands
    /// at <paramref name="dataStart"/> with <paramref name="dataLength"/> bytes and ends where the consumed bytes end. After End or
    /// Invalid the reader must not be asked again.
    /// </summary>
    public ChunkStep Next(
        ReadOnlySpan<byte> bytes, out int consumed, out int dataStart, out int dataLength, out Refusal refusal)
    {
        Invariant.That(_state != State.Over, "a chunked body that is over is not read on");
        dataStart = 0;
        dataLength = 0;
        refusal = Refusal.None;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (_state == State.Data)
            {
                dataStart = i;
                dataLength = (int)Math.Min(_remaining, bytes.Length - i);
                consumed = i + dataLength;
                _remaining -= dataLength;
                _state = _remaining == 0 ? State.DataCarriageReturn : State.Data;
                return ChunkStep.Data;
            }

            refusal = Take(bytes[i]);
            if (_state == State.Over)
            {
                consumed = i + 1;
                return ChunkStep.End;
            }

            if (refusal != Refusal.None)
            {
                _state = State.Over;
                consumed = i;
                return ChunkStep.Invalid;
            }
        }

        consumed = bytes.Length;
        return ChunkStep.NeedMore;
    }

    /// <summary>Takes one byte of framing and moves on, or says why it is refused.</summary>
    private Refusal Take(byte value)
    {
        switch (_state)
        {
            case State.Size:
                return TakeSize(value);

            case State.Extension:
                return value == '\r' ? GoTo(State.SizeLineFeed)
                    : value == '\n' ? Refusal.BareLineFeed
                    : !ByteScan.IsValue(value) ? Refusal.ChunkExtensionMalformed
                    : CountExtension();

            case State.SizeLineFeed:
                return Expect(value, '\n', Refusal.BareCarriageReturn, _remaining > 0 ? State.Data : State.TrailerStart);

            case State.DataCarriageReturn:
                return Expect(value, '\r', value == '\n' ? Refusal.BareLineFeed : Refusal.ChunkEndMissing, State.DataLineFeed);

            case State.DataLineFeed:
                _sizeDigits = 0;
                return Expect(value, '\n', Refusal.BareCarriageReturn, State.Size);

            default:
                return TakeTrailer(value);
        }
    }

    private Refusal TakeSize(byte value)
    {
        var digit = HexValue(value);
        if (digit >= 0)
        {
            if (_sizeDigits == MaxSizeDigits)
            {
                return Refusal.ChunkSizeTooLarge;
            }

            _sizeDigits++;
            _remaining = (_remaining << 4) | (long)(uint)digit;
            return Refusal.None;
        }

        if (value == '\n')
        {
            return Refusal.BareLineFeed;
        }

        if (_sizeDigits == 0 || value is not ((byte)'\r' or (byte)';'))
        {
            return Refusal.ChunkSizeMalformed;
        }

        _state = value == '\r' ? State.SizeLineFeed : State.Extension;
        return value == '\r' ? Refusal.None : CountExtension();
    }

    private Refusal TakeTrailer(byte value)
    {
        if (++_trailerBytes > MaxTrailerBytes)
        {
            return Refusal.TrailersTooLong;
        }

        if (value == '\n' && _state is not (State.TrailerLineFeed or State.LastLineFeed))
        {
            return Refusal.BareLineFeed;
        }

        switch (_state)
        {
            case State.TrailerStart:
                return value == '\r' ? GoTo(State.LastLineFeed)
                    : ByteScan.IsToken(value) ? GoTo(State.TrailerName)
                    : Refusal.TrailerMalformed;

            case State.TrailerName:
                return value == ':' ? GoTo(State.TrailerValue)
                    : ByteScan.IsToken(value) ? Refusal.None
                    : Refusal.TrailerMalformed;

            case State.TrailerValue:
                return value == '\r' ? GoTo(State.TrailerLineFeed)
                    : ByteScan.IsValue(value) ? Refusal.None
                    : Refusal.TrailerMalformed;

            case State.TrailerLineFeed:
                return Expect(value, '\n', Refusal.BareCarriageReturn, State.TrailerStart);

            default:
                Invariant.That(_state == State.LastLineFeed, "every state of a chunked body is handled");
                return Expect(value, '\n', Refusal.BareCarriageReturn, State.Over);
        }
    }

    private Refusal CountExtension() =>
        ++_extensionBytes > MaxExtensionBytes ? Refusal.ChunkExtensionTooLong : Refusal.None;

    private Refusal Expect(byte value, char expected, Refusal otherwise, State next) =>
        value == expected ? GoTo(next) : otherwise;

    private Refusal GoTo(State next)
    {
        _state = next;
        return Refusal.None;
    }

    private static int HexValue(byte value)
    {
        var digit = value - '0';
        var letter = (value | 0x20) - 'a';
        return (uint)digit <= 9 ? digit
            : (uint)letter <= 5 ? letter + 10
            : -1;
    }
}
