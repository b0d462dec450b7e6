using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace FastLB.Core.Http;

/// <summary>
/// Follows the frames of one direction of a WebSocket (RFC 6455 5.2) without touching their payload: it reads headers of 2 to 14 bytes, however they are cut into
/// pieces, and skips payloads by arithmetic. So it knows where a frame ends, which is where another one may be put in. Extensions may use the reserved bits; what
/// no extension can change (opcodes, masks, lengths) is checked. Plain data; whoever owns the connection owns it.
/// </summary>
internal struct WebSocketScanner(bool isFromClient)
{
    private const int MaskBytes = 4;
    private const byte Fin = 0x80;
    private const byte MaskBit = 0x80;
    private const byte ControlBit = 0x08;

    private HeaderBytes _header;
    private byte _headerLength;
    private byte _headerFilled;
    private long _payloadLeft;

    /// <summary>Done between two frames, Partial in one, Invalid for ever after what is no WebSocket.</summary>
    public ParseStatus Status { get; private set; } = ParseStatus.Done;

    /// <summary>True once the header of a close frame was seen; nothing but that frame follows (RFC 6455 5.5.1).</summary>
    public bool HasClosed { get; private set; }

    /// <summary>Whole messages, control frames excepted.</summary>
    public long Messages { get; private set; }

    /// <summary>
    /// Goes on to the end of the present frame, or of the bytes. How many bytes that is; in an invalid stream all of them.
    /// </summary>
    public int Advance(ReadOnlySpan<byte> bytes)
    {
        if (Status == ParseStatus.Invalid || bytes.IsEmpty)
        {
            return bytes.Length;
        }

        var at = 0;
        if (Status == ParseStatus.Done)
        {
            _headerLength = 2;
            _headerFilled = 0;
            Status = ParseStatus.Partial;
        }

        while (_headerFilled < _headerLength)
        {
            if (at == bytes.Length)
            {
                return at;
            }

            _header[_headerFilled++] = bytes[at++];
            if (_headerFilled == 2)
            {
                ReadStart();
            }

            if (_headerFilled == _headerLength && Status != ParseStatus.Invalid)
            {
                ReadLength();
            }

            if (Status == ParseStatus.Invalid)
            {
                return bytes.Length;
            }
        }

        var taken = (int)Math.Min(_payloadLeft, bytes.Length - at);
        _payloadLeft -= taken;
        if (_payloadLeft == 0)
        {
            Status = ParseStatus.Done;
            Messages += (_header[0] & (Fin | ControlBit)) == Fin ? 1 : 0;
        }

        return at + taken;
    }

    /// <summary>The two bytes that say how long the header is.</summary>
    private void ReadStart()
    {
        var opcode = _header[0] & 0x0F;
        var isControl = (opcode & ControlBit) != 0;
        var length = _header[1] & ~MaskBit;
        if (opcode is (> 2 and < 8) or > 10 || (_header[1] & MaskBit) != 0 != isFromClient
            || (isControl && (length > 125 || (_header[0] & Fin) == 0)))
        {
            Status = ParseStatus.Invalid;
            return;
        }

        HasClosed |= opcode == 8;
        _headerLength = (byte)(2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (isFromClient ? MaskBytes : 0));
    }

    /// <summary>The length has to be in its shortest form, and fit into 63 bits.</summary>
    private void ReadLength()
    {
        ReadOnlySpan<byte> header = _header;
        var length = _header[1] & ~MaskBit;
        _payloadLeft = length switch
        {
            126 => BinaryPrimitives.ReadUInt16BigEndian(header[2..]),
            127 => BinaryPrimitives.ReadInt64BigEndian(header[2..]),
            _ => length,
        };
        if ((length == 126 && _payloadLeft < 126) || (length == 127 && _payloadLeft <= ushort.MaxValue))
        {
            Status = ParseStatus.Invalid;
        }
    }

    [InlineArray(14)]
    private struct HeaderBytes
    {
        private byte _first;
    }
}
