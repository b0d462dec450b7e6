using System.Buffers.Binary;
using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>Which header goes before the first bytes of a connection to a worker.</summary>
public enum ProxyVersion
{
    None,

    /// <summary>A line of text.</summary>
    V1,

    /// <summary>Binary.</summary>
    V2,
}

/// <summary>Writes what <see cref="ProxyHeader"/> reads. Allocates nothing.</summary>
public static class ProxyHeaderWriter
{
    private const byte Local = 0x20;
    private const byte Proxied = 0x21;
    private const byte TcpOverIPv4 = 0x11;
    private const byte TcpOverIPv6 = 0x21;

    /// <summary>
    /// Writes the header; the count of its bytes, at most <see cref="ProxyHeader.MaxVersion1Bytes"/>. A source without an address, a unix socket's, is
    /// <c>UNKNOWN</c> in version 1 and a connection of our own in version 2. Where one side has an IPv4 address and the other an IPv6 one, both are written as IPv6.
    /// </summary>
    public static int Write(ProxyVersion version, in ClientAddress source, in ClientAddress destination, Span<byte> target)
    {
        var isIPv4 = source.IsIPv4 && destination.IsIPv4;
        return version == ProxyVersion.V1 ? WriteLine(source, destination, isIPv4, target) : WriteBinary(source, destination, isIPv4, target);
    }

    private static int WriteBinary(in ClientAddress source, in ClientAddress destination, bool isIPv4, Span<byte> target)
    {
        ProxyHeader.Signature.CopyTo(target);
        var length = source.IsNone ? 0 : isIPv4 ? 12 : 36;
        target[12] = source.IsNone ? Local : Proxied;
        target[13] = source.IsNone ? (byte)0 : isIPv4 ? TcpOverIPv4 : TcpOverIPv6;
        BinaryPrimitives.WriteUInt16BigEndian(target[14..], (ushort)length);
        var addresses = target.Slice(ProxyHeader.FixedBytes, length);
        if (source.IsNone)
        {
            return ProxyHeader.FixedBytes;
        }

        if (isIPv4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(addresses, (uint)source.Low);
            BinaryPrimitives.WriteUInt32BigEndian(addresses[4..], (uint)destination.Low);
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(addresses, source.High);
            BinaryPrimitives.WriteUInt64BigEndian(addresses[8..], source.Low);
            BinaryPrimitives.WriteUInt64BigEndian(addresses[16..], destination.High);
            BinaryPrimitives.WriteUInt64BigEndian(addresses[24..], destination.Low);
        }

        BinaryPrimitives.WriteUInt16BigEndian(addresses[^4..], source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(addresses[^2..], destination.Port);
        return ProxyHeader.FixedBytes + length;
    }

    private static int WriteLine(in ClientAddress source, in ClientAddress destination, bool isIPv4, Span<byte> target)
    {
        if (source.IsNone)
        {
            "PROXY UNKNOWN\r\n"u8.CopyTo(target);
            return "PROXY UNKNOWN\r\n"u8.Length;
        }

        (isIPv4 ? "PROXY TCP4 "u8 : "PROXY TCP6 "u8).CopyTo(target);
        var length = "PROXY TCP4 "u8.Length;
        length = WriteAddress(source, isIPv4, target, length);
        length = WriteAddress(destination, isIPv4, target, length);
        length = WriteNumber(source.Port, target, length);
        target[length++] = (byte)' ';
        length = WriteNumber(destination.Port, target, length);
        "\r\n"u8.CopyTo(target[length..]);
        return length + 2;
    }

    /// <summary>With a blank behind it. IPv6 with all of its groups, which every reader understands.</summary>
    private static int WriteAddress(in ClientAddress address, bool isIPv4, Span<byte> target, int length)
    {
        if (isIPv4)
        {
            address.TryFormat(target[length..], out var written);
            length += written;
        }
        else
        {
            for (var group = 0; group < 8; group++)
            {
                var half = group < 4 ? address.High : address.Low;
                var value = (ushort)(half >> (48 - (16 * (group % 4))));
                value.TryFormat(target[length..], out var written, "x", System.Globalization.CultureInfo.InvariantCulture);
                length += written;
                target[length++] = (byte)':';
            }

            length--;
        }

        target[length++] = (byte)' ';
        return length;
    }

    private static int WriteNumber(ushort value, Span<byte> target, int length)
    {
        value.TryFormat(target[length..], out var written, default, System.Globalization.CultureInfo.InvariantCulture);
        return length + written;
    }
}
