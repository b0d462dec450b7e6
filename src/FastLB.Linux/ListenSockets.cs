using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The listening sockets of one address, one per loop: SO_REUSEPORT sockets among which the kernel spreads connections, or,
/// for a unix path, duplicates of one socket. They are bound before any loop runs, so that an address in use is told at start.
/// </summary>
public sealed class ListenSockets
{
    private const int Backlog = 4096;

    /// <summary>
    /// For how long the kernel keeps a connection to itself whose client has said nothing. A fifth of the CPU time that a connection
    /// with one request costs, because it comes with its request and wakes a loop once (perf-results/2026-11-21-syscalls.md).
    /// </summary>
    private const int DeferSeconds = 1;

    private ListenSockets(Endpoint endpoint, int[] descriptors)
    {
        Endpoint = endpoint;
        Descriptors = descriptors;
    }

    /// <summary>Where it listens; a port of 0 was replaced by the one that the kernel chose.</summary>
    public Endpoint Endpoint { get; }

    /// <summary>One per loop; each is handed to <see cref="EventLoop.Listen"/>, which owns it from then on.</summary>
    public IReadOnlyList<int> Descriptors { get; }

    /// <summary>Binds and listens. 0 with the sockets, or -errno with nothing left open.</summary>
    /// <param name="endpoint">Where; a port of 0 is any.</param>
    /// <param name="count">How many loops there are.</param>
    /// <param name="clientSpeaksFirst">
    /// The protocol begins with the client, so a TCP connection need not be accepted before its first bytes are there (tcp(7),
    /// TCP_DEFER_ACCEPT). One that stays silent is accepted after a second. Before the sockets are closed, see <see cref="BeginEnd"/>.
    /// </param>
    /// <param name="sockets">The sockets.</param>
    /// <param name="besideOwn">Whether this process listens there already and the new sockets shall stand beside those (not for unix paths).</param>
    public static int Open(Endpoint endpoint, int count, bool clientSpeaksFirst, out ListenSockets? sockets, bool besideOwn = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        sockets = null;
        var descriptors = new List<int>(count);
        var bound = endpoint;
        var result = endpoint.IsUnix ? OpenUnix(endpoint, count, descriptors) : OpenIp(ref bound, count, clientSpeaksFirst, besideOwn, descriptors);
        if (result < 0)
        {
            foreach (var descriptor in descriptors)
            {
                Libc.Close(descriptor);
            }

            return result;
        }

        sockets = new ListenSockets(bound, [.. descriptors]);
        return 0;
    }

    /// <summary>
    /// No connection begins any more, so that none is cut off when the sockets close (<see cref="SynFilter"/>), and those that have begun are handed over at their next packet,
    /// whatever it is. A connection that the kernel still keeps to itself is reset when its listening socket closes. Any thread may call it while the sockets are
    /// open; the loops go on accepting until the queues are empty.
    /// </summary>
    public void BeginEnd()
    {
        foreach (var descriptor in Endpoint.IsUnix ? [] : Descriptors)
        {
            SynFilter.Attach(descriptor);
            Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_DEFER_ACCEPT, 0);
        }
    }

    /// <summary>
    /// The same for a unix socket, directly before the loops stop: from here on connecting is refused, what waits can still be accepted, and accepting what does not
    /// wait fails at once.
    /// </summary>
    public void RefuseUnix()
    {
        if (Endpoint.IsUnix && Descriptors.Count > 0)
        {
            Libc.Shutdown(Descriptors[0], Libc.SHUT_RD);
        }
    }

    /// <summary>Closes a socket that no loop has taken over.</summary>
    public static void Abandon(int descriptor) => Libc.Close(descriptor);

    private static int OpenIp(ref Endpoint endpoint, int count, bool clientSpeaksFirst, bool besideOwn, List<int> descriptors)
    {
        // With SO_REUSEPORT a second FastLB of the same user would bind happily and take half of the connections. A first
        // bind without the option finds out whether anybody is there.
        if (!besideOwn)
        {
            var probe = OpenOne(endpoint, reusePort: false, listen: false);
            if (probe < 0)
            {
                return probe;
            }

            endpoint = BoundEndpoint(probe, endpoint);
            Libc.Close(probe);
        }

        for (var i = 0; i < count; i++)
        {
            var descriptor = OpenOne(endpoint, reusePort: true, listen: true);
            if (descriptor < 0)
            {
                return descriptor;
            }

            descriptors.Add(descriptor);
            if (clientSpeaksFirst)
            {
                Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_DEFER_ACCEPT, DeferSeconds);
            }
        }

        return 0;
    }

    private static int OpenUnix(Endpoint endpoint, int count, List<int> descriptors)
    {
        if (File.Exists(endpoint.UnixPath) && !IsAnswered(endpoint))
        {
            // Left behind by a process that was killed. Only a socket nobody listens on is removed.
            File.Delete(endpoint.UnixPath!);
        }

        var first = OpenOne(endpoint, reusePort: false, listen: true);
        if (first < 0)
        {
            return first;
        }

        descriptors.Add(first);
        for (var i = 1; i < count; i++)
        {
            var duplicate = Libc.Duplicate(first);
            if (duplicate < 0)
            {
                return duplicate;
            }

            descriptors.Add(duplicate);
        }

        return 0;
    }

    private static int OpenOne(Endpoint endpoint, bool reusePort, bool listen)
    {
        var descriptor = Libc.Socket(SocketAddress.FamilyOf(endpoint));
        if (descriptor < 0)
        {
            return descriptor;
        }

        Span<byte> address = stackalloc byte[SocketAddress.MaxLength];
        var length = SocketAddress.Write(endpoint, address);
        var result = 0;
        if (!endpoint.IsUnix)
        {
            Libc.SetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEADDR, 1);

            // Accepted sockets inherit both options, which saves calls per connection.
            Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_NODELAY, 1);
            if (CongestionControl.IsChosenFor(endpoint))
            {
                CongestionControl.SetLoopback(descriptor);
            }

            if (SocketAddress.FamilyOf(endpoint) == Libc.AF_INET6)
            {
                Libc.SetOption(descriptor, Libc.IPPROTO_IPV6, Libc.IPV6_V6ONLY, 1);
            }

            if (reusePort)
            {
                result = Libc.SetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEPORT, 1);
            }
        }

        if (result >= 0)
        {
            result = Libc.Bind(descriptor, address[..length]);
        }

        if (result >= 0 && listen)
        {
            result = Libc.Listen(descriptor, Backlog);
        }

        if (result < 0)
        {
            Libc.Close(descriptor);
            return result;
        }

        return descriptor;
    }

    private static Endpoint BoundEndpoint(int descriptor, Endpoint endpoint)
    {
        Span<byte> address = stackalloc byte[SocketAddress.MaxLength];
        return Libc.GetSocketName(descriptor, address) < 0
            ? endpoint
            : SocketAddress.WithPort(endpoint, SocketAddress.ReadPort(address));
    }

    private static bool IsAnswered(Endpoint endpoint)
    {
        var descriptor = Libc.Socket(Libc.AF_UNIX);
        if (descriptor < 0)
        {
            return true;
        }

        Span<byte> address = stackalloc byte[SocketAddress.MaxLength];
        var length = SocketAddress.Write(endpoint, address);
        var result = Libc.Connect(descriptor, address[..length]);
        Libc.Close(descriptor);
        return result != -IoError.ConnectionRefused;
    }
}
