using System.Buffers.Binary;
using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>
/// Reads addresses as other proxies write them: dotted IPv4 of four decimal numbers without leading zeros, IPv6 of RFC 4291 2.2. Nothing is
/// taken that two readers could take differently (octal, hexadecimal, fewer than four numbers, zone names). Allocates nothing and never throws.
/// </summary>
internal static class AddressText
{
    private const int Groups = 8;
    private const int MaxPortDigits = 5;

    /// <summary>
    /// An address with or without a port, as X-Forwarded-For and <c>for=</c> (RFC 7239 6) name a node: <c>192.0.2.1</c>, <c>192.0.2.1:80</c>,
    /// <c>2001:db8::1</c>, <c>[2001:db8::1]</c>, <c>[2001:db8::1]:80</c>. False for names, <c>unknown</c>,
    /// <c>_hidden</c>, the unspecified address and everything else.
    /// </summary>
    public static bool TryReadNode(ReadOnlySpan<byte> text, out ClientAddress address)
    {
        address = default;
        if (text.IsEmpty)
        {
            return false;
        }

        if (text[0] == '[')
        {
            var close = text.IndexOf((byte)']');
            return close > 0 && TryReadPortBehind(text[(close + 1)..], out var port) && TryReadIPv6(text[1..close], port, out address) && !address.IsUnspecified;
        }

        var colon = text.IndexOf((byte)':');
        if (colon >= 0 && text[(colon + 1)..].Contains((byte)':'))
        {
            return TryReadIPv6(text, 0, out address) && !address.IsUnspecified;
        }

        ushort portOfIPv4 = 0;
        return (colon < 0 || TryReadPort(text[(colon + 1)..], out portOfIPv4))
            && TryReadIPv4(colon < 0 ? text : text[..colon], portOfIPv4, out address)
            && !address.IsUnspecified;
    }

    public static bool TryReadIPv4(ReadOnlySpan<byte> text, ushort port, out ClientAddress address)
    {
        address = default;
        if (!TryReadIPv4(text, out var value))
        {
            return false;
        }

        address = new ClientAddress(value, port);
        return true;
    }

    public static bool TryReadIPv6(ReadOnlySpan<byte> text, ushort port, out ClientAddress address)
    {
        address = default;
        Span<ushort> groups = stackalloc ushort[Groups];
        if (!TryReadGroups(text, groups))
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[2 * Groups];
        for (var i = 0; i < Groups; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(bytes[(2 * i)..], groups[i]);
        }

        address = new ClientAddress(bytes, port);
        return true;
    }

    /// <summary>A decimal number from 0 to 65535 without leading zeros.</summary>
    public static bool TryReadPort(ReadOnlySpan<byte> text, out ushort port)
    {
        port = 0;
        if (text.Length is 0 or > MaxPortDigits || (text[0] == '0' && text.Length > 1))
        {
            return false;
        }

        var value = 0;
        foreach (var digit in text)
        {
            if (digit is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            value = (value * 10) + (digit - '0');
        }

        port = (ushort)value;
        return value <= ushort.MaxValue;
    }

    /// <summary>Writes an address without its port.</summary>
    public static void Write(in ClientAddress address, ref HeadWriter writer)
    {
        Span<byte> text = stackalloc byte[ClientAddress.MaxTextLength];
        address.TryFormat(text, out var length);
        writer.Write(text[..length]);
    }

    private static bool TryReadPortBehind(ReadOnlySpan<byte> text, out ushort port)
    {
        port = 0;
        return text.IsEmpty || (text[0] == ':' && TryReadPort(text[1..], out port));
    }

    private static bool TryReadIPv4(ReadOnlySpan<byte> text, out uint value)
    {
        value = 0;
        for (var part = 0; part < 4; part++)
        {
            var end = part < 3 ? text.IndexOf((byte)'.') : text.Length;
            if (end is < 1 or > 3 || !TryReadPort(text[..end], out var number) || number > byte.MaxValue)
            {
                return false;
            }

            value = (value << 8) | number;
            text = part < 3 ? text[(end + 1)..] : default;
        }

        return true;
    }

    private static bool TryReadGroups(ReadOnlySpan<byte> text, Span<ushort> groups)
    {
        groups.Clear();
        var count = 0;
        var gap = -1;
        if (text.StartsWith("::"u8))
        {
            gap = 0;
            text = text[2..];
        }

        while (!text.IsEmpty)
        {
            if (count == Groups)
            {
                return false;
            }

            var length = 0;
            var value = 0;
            while (length < text.Length && length < 4 && HexDigit(text[length]) is >= 0 and var digit)
            {
                value = (value << 4) | digit;
                length++;
            }

            if (length < text.Length && text[length] == '.')
            {
                // The last 32 bits may be written as an IPv4 address.
                if (count > Groups - 2 || !TryReadIPv4(text, out var tail))
                {
                    return false;
                }

                groups[count++] = (ushort)(tail >> 16);
                groups[count++] = (ushort)tail;
                break;
            }

            if (length == 0)
            {
                return false;
            }

            groups[count++] = (ushort)value;
            text = text[length..];
            if (text.IsEmpty)
            {
                break;
            }

            if (text[0] != ':' || text.Length == 1)
            {
                return false;
            }

            text = text[1..];
            if (text[0] == ':')
            {
                if (gap >= 0)
                {
                    return false;
                }

                gap = count;
                text = text[1..];
            }
        }

        if (gap < 0)
        {
            return count == Groups;
        }

        if (count == Groups)
        {
            return false;
        }

        // What stands behind the gap moves to the end.
        for (var i = 1; i <= count - gap; i++)
        {
            groups[Groups - i] = groups[count - i];
        }

        groups[gap..(Groups - (count - gap))].Clear();
        return true;
    }

    private static int HexDigit(byte character) => character switch
    {
        >= (byte)'0' and <= (byte)'9' => character - '0',
        >= (byte)'a' and <= (byte)'f' => character - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => character - 'A' + 10,
        _ => -1,
    };
}
