using System.Net;
using System.Net.Sockets;
using FastLB.Linux;

namespace FastLB.Admin;

/// <summary>
/// The listening socket of the admin API, bound before anything else starts: an address in use is told at once, and
/// the web framework, which takes its time, is started behind it when clients are already served.
/// </summary>
internal static class AdminSocket
{
    private const int Backlog = 128;

    /// <summary>Binds and listens. Throws <see cref="ServerStartException"/> with a sentence for people.</summary>
    public static Socket Open(AdminSettings settings)
    {
        var endpoint = settings.Bind;
        StaleSocket.Remove(endpoint);
        var socket = new Socket(
            endpoint.IsUnix ? AddressFamily.Unix : endpoint.Address.AddressFamily,
            SocketType.Stream,
            endpoint.IsUnix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            socket.Bind(ToEndPoint(endpoint));
            if (endpoint.IsUnix && !OperatingSystem.IsWindows())
            {
                // Before it listens, so nobody else has come in meanwhile.
                File.SetUnixFileMode(endpoint.UnixPath, settings.SocketMode);
            }

            socket.Listen(Backlog);
            return socket;
        }
        catch (SocketException failure)
        {
            socket.Dispose();
            throw new ServerStartException($"the admin API: {BindFailure.Describe(endpoint, failure.NativeErrorCode)} (--admin, or 'admin' in the configuration)");
        }
    }

    public static EndPoint ToEndPoint(Endpoint endpoint) =>
        endpoint.IsUnix
            ? new UnixDomainSocketEndPoint(endpoint.UnixPath)
            : new IPEndPoint(endpoint.Address, endpoint.Port);
}
