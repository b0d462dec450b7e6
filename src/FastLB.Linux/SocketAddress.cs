using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>The kernel's form of an address: sockaddr_in (ip(7)), sockaddr_in6 (ipv6(7)), sockaddr_un (unix(7)).</summary>
internal static class SocketAddress
{
    /// <summary>Enough for each of the three: sockaddr_un has 110 bytes.</summary>
    internal const int MaxLength = 112;

    /// <summary>Enough for an address of the internet: sockaddr_in6 has 28 bytes.</summary>
    internal const int MaxIpLength = 28;

    internal static int FamilyOf(Endpoint endpoint) =>
        endpoint.IsUnix ? Libc.AF_UNIX
        : endpoint.Address.AddressFamily == AddressFamily.InterNetwork ? Libc.AF_INET
        : Libc.AF_INET6;

    /// <summary>Writes the address; the count of its bytes is the answer.</summary>
    internal static int Write(Endpoint endpoint, Span<byte> destination)
    {
        destination.Clear();
        var family = FamilyOf(endpoint);
        BitConverter.TryWriteBytes(destination, (ushort)family);
        if (endpoint.IsUnix)
        {
            var bytes = Encoding.UTF8.GetBytes(endpoint.UnixPath, destination[2..^1]);
            return 2 + bytes + 1;
        }

        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], (ushort)endpoint.Port);
        if (family == Libc.AF_INET)
        {
            endpoint.Address.TryWriteBytes(destination[4..], out _);
            return 16;
        }

        endpoint.Address.TryWriteBytes(destination[8..], out _);
        BitConverter.TryWriteBytes(destination[24..], (uint)endpoint.Address.ScopeId);
        return 28;
    }

    /// <summary>Who is at the other end, from what accept4 wrote; nobody for a unix socket.</summary>
    internal static ClientAddress ReadClient(ReadOnlySpan<byte> address)
    {
        if (address.Length < 16)
        {
            return default;
        }

        var port = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        return BitConverter.ToUInt16(address) switch
        {
            Libc.AF_INET => new ClientAddress(BinaryPrimitives.ReadUInt32BigEndian(address[4..]), port),
            Libc.AF_INET6 when address.Length >= 24 => new ClientAddress(address.Slice(8, 16), port),
            _ => default,
        };
    }

    /// <summary>Where a socket is bound. One in no file system (unix(7), abstract) gets a name that says so.</summary>
    internal static Endpoint ReadBound(int descriptor)
    {
        Span<byte> address = stackalloc byte[MaxLength];
        var length = Libc.GetSocketName(descriptor, address);
        var family = length < 2 ? Libc.AF_UNIX : BitConverter.ToUInt16(address);
        if (family == Libc.AF_UNIX)
        {
            var path = length <= 3 || address[2] == 0 ? "abstract" : Encoding.UTF8.GetString(address[2..length].TrimEnd((byte)0));
            return Endpoint.Unix(path);
        }

        var ip = family == Libc.AF_INET ? new IPAddress(address.Slice(4, 4)) : new IPAddress(address.Slice(8, 16), BitConverter.ToUInt32(address[24..]));
        return Endpoint.Ip(ip, ReadPort(address));
    }

    internal static int ReadPort(ReadOnlySpan<byte> address) => BinaryPrimitives.ReadUInt16BigEndian(address[2..]);

    internal static Endpoint WithPort(Endpoint endpoint, int port) =>
        endpoint.IsUnix ? endpoint : Endpoint.Ip(endpoint.Address ?? IPAddress.Any, port);
}
