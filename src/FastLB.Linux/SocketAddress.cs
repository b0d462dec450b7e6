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

    internal static int ReadPort(ReadOnlySpan<byte> address) => BinaryPrimitives.ReadUInt16BigEndian(address[2..]);

    internal static Endpoint WithPort(Endpoint endpoint, int port) =>
        endpoint.IsUnix ? endpoint : Endpoint.Ip(endpoint.Address ?? IPAddress.Any, port);
}
