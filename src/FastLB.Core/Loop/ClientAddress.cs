using System.Buffers.Binary;
using System.Net;

namespace FastLB.Core.Loop;

/// <summary>
/// Who connected: an IPv6 address (IPv4 in its mapped form, RFC 4291 2.5.5.2) and a port, or nobody for a unix socket. A
/// struct of 20 bytes because every idle connection carries one.
/// </summary>
public readonly struct ClientAddress : IEquatable<ClientAddress>
{
    private readonly ulong _high;
    private readonly ulong _low;

    /// <summary>Builds from the 16 bytes of an IPv6 address in network order.</summary>
    public ClientAddress(ReadOnlySpan<byte> ipv6, ushort port)
    {
        _high = BinaryPrimitives.ReadUInt64BigEndian(ipv6);
        _low = BinaryPrimitives.ReadUInt64BigEndian(ipv6[8..]);
        Port = port;
    }

    /// <summary>Builds from an IPv4 address in host order.</summary>
    public ClientAddress(uint ipv4, ushort port)
    {
        _high = 0;
        _low = 0x0000_FFFF_0000_0000UL | ipv4;
        Port = port;
    }

    public ushort Port { get; }

    /// <summary>The first 64 bits of the IPv6 address.</summary>
    public ulong High => _high;

    /// <summary>The last 64 bits.</summary>
    public ulong Low => _low;

    public bool IsIPv4 => _high == 0 && _low >> 32 == 0xFFFF;

    /// <summary>True for a peer without an address: a unix socket.</summary>
    public bool IsNone => _high == 0 && _low == 0;

    /// <summary>Zeros of either family, which are no host's address (RFC 4291 2.5.2, RFC 1122 3.2.1.3).</summary>
    public bool IsUnspecified => _high == 0 && _low is (0 or 0x0000_FFFF_0000_0000UL);

    /// <summary>The longest text that <see cref="TryFormat"/> writes.</summary>
    public const int MaxTextLength = 45;

    /// <summary>Writes the address without its port; "127.0.0.1" for a unix socket, whose peer is on this machine.</summary>
    public bool TryFormat(Span<byte> destination, out int written)
    {
        if (IsNone)
        {
            written = "127.0.0.1"u8.Length;
            return "127.0.0.1"u8.TryCopyTo(destination);
        }

        if (!IsIPv4)
        {
            return ToIPAddress().TryFormat(destination, out written);
        }

        written = 0;
        var address = (uint)_low;
        for (var shift = 24; shift >= 0; shift -= 8)
        {
            if (!((byte)(address >> shift)).TryFormat(destination[written..], out var digits))
            {
                return false;
            }

            written += digits;
            if (shift > 0)
            {
                if (written == destination.Length)
                {
                    return false;
                }

                destination[written++] = (byte)'.';
            }
        }

        return true;
    }

    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, _high);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], _low);
        return IsIPv4 ? new IPAddress(bytes[12..]) : new IPAddress(bytes);
    }

    public bool Equals(ClientAddress other) => _high == other._high && _low == other._low && Port == other.Port;

    public static bool operator ==(ClientAddress left, ClientAddress right) => left.Equals(right);

    public static bool operator !=(ClientAddress left, ClientAddress right) => !left.Equals(right);

    public override bool Equals(object? obj) => obj is ClientAddress other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_high, _low, Port);

    public override string ToString() => IsNone ? "unix" : new IPEndPoint(ToIPAddress(), Port).ToString();
}
