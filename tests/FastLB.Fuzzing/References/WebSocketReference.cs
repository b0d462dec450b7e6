using System.Numerics;
using FastLB.Core.Http;

namespace FastLB.Fuzzing.References;

/// <summary>
/// Frames of RFC 6455 5.2, one after the other. By design reserved bits are nobody's business here (9.1: extensions define them), and what a fragment continues is not looked at (5.4).
/// </summary>
internal static class WebSocketReference
{
    /// <param name="Ends">Where frames end, in bytes from the first.</param>
    internal sealed record Verdict(ParseStatus Status, List<int> Ends, int Messages, bool HasClosed);

    public static Verdict Read(byte[] bytes, bool isFromClient)
    {
        var ends = new List<int>();
        var messages = 0;
        var hasClosed = false;
        var position = 0;
        while (position < bytes.Length)
        {
            var frame = bytes[position..];
            if (frame.Length < 2)
            {
                return new Verdict(ParseStatus.Partial, ends, messages, hasClosed);
            }

            var isFinal = frame[0] >= 0x80;
            var opcode = frame[0] % 16;
            var isMasked = frame[1] >= 0x80;
            var stated = frame[1] % 128;
            if (!(opcode is 0 or 1 or 2 or 8 or 9 or 10) || isMasked != isFromClient || (opcode >= 8 && (!isFinal || stated > 125)))
            {
                return new Verdict(ParseStatus.Invalid, ends, messages, hasClosed);
            }

            hasClosed |= opcode == 8;
            var lengthBytes = stated switch { 126 => 2, 127 => 8, _ => 0 };
            var header = 2 + lengthBytes + (isMasked ? 4 : 0);
            if (frame.Length < header)
            {
                return new Verdict(ParseStatus.Partial, ends, messages, hasClosed);
            }

            var length = lengthBytes == 0 ? stated : new BigInteger(frame.AsSpan(2, lengthBytes), isUnsigned: true, isBigEndian: true);

            // "The minimal number of bytes MUST be used", and the first bit of eight is 0.
            if ((stated == 126 && length < 126) || (stated == 127 && (length < 65_536 || length >= BigInteger.Pow(2, 63))))
            {
                return new Verdict(ParseStatus.Invalid, ends, messages, hasClosed);
            }

            if (length > frame.Length - header)
            {
                return new Verdict(ParseStatus.Partial, ends, messages, hasClosed);
            }

            position += header + (int)length;
            ends.Add(position);
            messages += isFinal && opcode < 8 ? 1 : 0;
        }

        return new Verdict(ParseStatus.Done, ends, messages, hasClosed);
    }
}
