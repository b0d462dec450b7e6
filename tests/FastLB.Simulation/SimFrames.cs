using System.Buffers.Binary;
using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>
/// Reads the frames of one direction of a WebSocket (RFC 6455 5.2) in the plainest way, apart from the product's scanner. What is no frame is a failure: whoever passes frames on, and puts
/// one in, leaves them whole.
/// </summary>
internal sealed class SimFrames(bool isFromClient)
{
    private readonly List<byte> _header = [];
    private readonly List<byte> _control = [];
    private long _left;
    private int _position;

    internal delegate void Payload(ReadOnlySpan<byte> bytes);

    /// <summary>The code of the close frame that came; -1: none has.</summary>
    internal int CloseCode { get; private set; } = -1;

    internal void Feed(ReadOnlySpan<byte> bytes, Payload onPayload)
    {
        while (!bytes.IsEmpty)
        {
            if (CloseCode >= 0)
            {
                throw new SimulationFailedException($"{bytes.Length} bytes came behind a close frame");
            }

            if (_left == 0)
            {
                _header.Add(bytes[0]);
                bytes = bytes[1..];
                TakeHeader();
                continue;
            }

            var taken = (int)Math.Min(_left, bytes.Length);
            var payload = bytes[..taken].ToArray();
            for (var i = 0; i < taken && isFromClient; i++)
            {
                payload[i] ^= _header[_header.Count - 4 + ((_position + i) % 4)];
            }

            bytes = bytes[taken..];
            _left -= taken;
            _position += taken;
            if ((_header[0] & 8) != 0)
            {
                _control.AddRange(payload);
            }
            else
            {
                onPayload(payload);
            }

            EndFrame();
        }
    }

    internal static byte[] Make(byte first, ReadOnlySpan<byte> payload, bool isFromClient, RandomSource chance)
    {
        var frame = new List<byte> { first };
        var form = payload.Length < 126 ? payload.Length : 126;
        frame.Add((byte)(form | (isFromClient ? 0x80 : 0)));
        if (form == 126)
        {
            frame.Add((byte)(payload.Length >> 8));
            frame.Add((byte)payload.Length);
        }

        byte[] mask = isFromClient ? [.. Enumerable.Range(0, 4).Select(_ => (byte)chance.Next(256))] : [];
        frame.AddRange(mask);
        for (var i = 0; i < payload.Length; i++)
        {
            frame.Add((byte)(payload[i] ^ (isFromClient ? mask[i % 4] : 0)));
        }

        return [.. frame];
    }

    internal static byte[] MakeClose(int code, bool isFromClient, RandomSource chance) => Make(0x88, [(byte)(code >> 8), (byte)code], isFromClient, chance);

    private void TakeHeader()
    {
        if (_header.Count < 2)
        {
            return;
        }

        if ((_header[1] >= 0x80) != isFromClient || _header[0] is not (0x82 or 0x02 or 0x00 or 0x80 or 0x88))
        {
            throw new SimulationFailedException($"{Convert.ToHexString([.. _header])} came where a frame begins");
        }

        var form = _header[1] & 0x7F;
        var needed = 2 + (form == 126 ? 2 : form == 127 ? 8 : 0) + (isFromClient ? 4 : 0);
        if (_header.Count < needed)
        {
            return;
        }

        byte[] bytes = [.. _header];
        _left = form == 126 ? BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(2)) : form == 127 ? BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(2)) : form;
        _position = 0;
        EndFrame();
    }

    private void EndFrame()
    {
        if (_left > 0)
        {
            return;
        }

        if (_header[0] == 0x88)
        {
            CloseCode = _control.Count >= 2 ? (_control[0] << 8) | _control[1] : 1005;
        }

        _header.Clear();
    }
}
