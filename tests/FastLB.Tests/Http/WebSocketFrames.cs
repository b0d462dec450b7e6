using System.Buffers.Binary;

namespace FastLB.Tests.Http;

/// <summary>Makes frames of RFC 6455 5.2, for tests.</summary>
internal static class WebSocketFrames
{
    /// <param name="first">FIN, reserved bits and opcode.</param>
    /// <param name="form">0: the shortest length; 126 or 127: that form whatever the length is.</param>
    internal static byte[] Make(byte first, byte[] payload, bool masked, int form = 0)
    {
        var length = payload.LongLength;
        form = form > 0 ? form : length < 126 ? (int)length : length <= ushort.MaxValue ? 126 : 127;
        var frame = new List<byte> { first, (byte)(form | (masked ? 0x80 : 0)) };
        var number = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(number, length);
        frame.AddRange(form == 127 ? number : form == 126 ? number[6..] : []);
        byte[] mask = masked ? [0x12, 0x34, 0x56, 0x78] : [];
        frame.AddRange(mask);
        frame.AddRange(masked ? payload.Select((b, i) => (byte)(b ^ mask[i % 4])) : payload);
        return [.. frame];
    }
}
