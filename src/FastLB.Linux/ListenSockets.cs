using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The listening sockets of one address, one per loop: SO_REUSEPORT sockets among which the kernel spreads connections, or,
/// for a unix path or a socket that this process was given (<see cref="InheritedSockets"/>), duplicates of one socket. They are bound before any loop runs, so that an address in use is told at start.
/// </summary>
public sealed class ListenSockets
{
    /// <summary>
    /// For how long the kernel keeps a connection to itself whose client has said nothing. A fifth of the CPU time that a connection
    /// with one request costs, because it comes with its request and wakes a loop once (perf-results/2026-11-21-syscalls.md).
    /// </summary>
    private const int DeferSeconds = 1;

    private readonly int _backlog;

    private ListenSockets(Endpoint endpoint, int[] descriptors, bool isInherited, int backlog, IReadOnlyList<string> refused)
    {
        _backlog = backlog;
        Endpoint = endpoint;
        Descriptors = descriptors;
        IsInherited = isInherited;
        Refused = refused;
    }

    /// <summary>Where it listens; a port of 0 was replaced by the one that the kernel chose.</summary>
    public Endpoint Endpoint { get; }

    /// <summary>One per loop; each is handed to <see cref="EventLoop.Listen"/>, which owns it from then on.</summary>
    public IReadOnlyList<int> Descriptors { get; }

    /// <summary>True for a socket that somebody else has opened, and whose path is his to remove.</summary>
    public bool IsInherited { get; }

    /// <summary>The options that the kernel did not take, each in words for a person. The sockets listen without them.</summary>
    public IReadOnlyList<string> Refused { get; }

    /// <summary>Binds and listens, with what the system has for everything that can be chosen. 0 with the sockets, or -errno with nothing left open.</summary>
    public static int Open(Endpoint endpoint, int count, bool clientSpeaksFirst, out ListenSockets? sockets)
    {
        var result = Bind(endpoint, count, clientSpeaksFirst, ListenOptions.Default, out sockets);
        return result < 0 ? result : sockets!.Listen();
    }

    /// <summary>
    /// Takes the address, without a connection coming yet: nobody else can have it any more, and a client is refused, or goes to the sockets that were there before. 0 with the
    /// sockets, or -errno with nothing left open.
    /// </summary>
    /// <param name="endpoint">Where; a port of 0 is any.</param>
    /// <param name="count">How many loops there are.</param>
    /// <param name="clientSpeaksFirst">
    /// The protocol begins with the client, so a TCP connection need not be accepted before its first bytes are there (tcp(7),
    /// TCP_DEFER_ACCEPT). One that stays silent is accepted after a second. Before the sockets are closed, see <see cref="BeginEnd"/>.
    /// </param>
    /// <param name="options">How they are set up.</param>
    /// <param name="sockets">The sockets.</param>
    /// <param name="besideOwn">Whether this process listens there already and the new sockets shall stand beside those (not for unix paths).</param>
    public static int Bind(Endpoint endpoint, int count, bool clientSpeaksFirst, ListenOptions options, out ListenSockets? sockets, bool besideOwn = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        sockets = null;
        var descriptors = new List<int>(count);
        var bound = endpoint;
        var setup = new SocketSetup(options);
        var result = endpoint.IsInherited ? TakeInherited(ref bound, count, setup, descriptors)
            : endpoint.IsUnix ? BindUnix(endpoint, count, setup, descriptors)
            : BindIp(ref bound, count, clientSpeaksFirst, besideOwn, setup, descriptors);
        if (result < 0)
        {
            foreach (var descriptor in descriptors)
            {
                Libc.Close(descriptor);
            }

            return result;
        }

        sockets = new ListenSockets(bound, [.. descriptors], endpoint.IsInherited, setup.Backlog, setup.Refused);
        return 0;
    }

    /// <summary>From now on connections come, and wait until a loop accepts them. 0, or -errno. A socket that was given listens already.</summary>
    public int Listen()
    {
        foreach (var descriptor in IsInherited ? [] : Descriptors)
        {
            var result = Libc.Listen(descriptor, _backlog);
            if (result < 0)
            {
                return result;
            }
        }

        return 0;
    }

    /// <summary>
    /// No connection begins any more, so that none is cut off when the sockets close (<see cref="SynFilter"/>), and those that have begun are handed over at their next packet,
    /// whatever it is. A connection that the kernel still keeps to itself is reset when its listening socket closes. Any thread may call it while the sockets are
    /// open; the loops go on accepting until the queues are empty.
    /// </summary>
    public void BeginEnd()
    {
        foreach (var descriptor in Endpoint.IsUnix || IsInherited ? [] : Descriptors)
        {
            SynFilter.Attach(descriptor);
            Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_DEFER_ACCEPT, 0);
        }
    }

    /// <summary>
    /// The same for a unix socket, directly before the loops stop: from here on connecting is refused, what waits can still be accepted, and accepting what does not
    /// wait fails at once.
    /// </summary>
    /// <param name="loop">The loop that asks, whose descriptor is still open; all of them are one socket.</param>
    public void RefuseUnix(int loop)
    {
        if (Endpoint.IsUnix && !IsInherited)
        {
            Libc.Shutdown(Descriptors[loop], Libc.SHUT_RD);
        }
    }

    /// <summary>Closes a socket that no loop has taken over.</summary>
    public static void Abandon(int descriptor) => Libc.Close(descriptor);

    private static int BindIp(ref Endpoint endpoint, int count, bool clientSpeaksFirst, bool besideOwn, SocketSetup setup, List<int> descriptors)
    {
        // With SO_REUSEPORT a second FastLB of the same user would bind happily and take half of the connections. A first
        // bind without the option finds out whether anybody is there.
        if (!besideOwn)
        {
            var probe = BindOne(endpoint, reusePort: false, setup);
            if (probe < 0)
            {
                return probe;
            }

            endpoint = BoundEndpoint(probe, endpoint);
            Libc.Close(probe);
        }

        for (var i = 0; i < count; i++)
        {
            var descriptor = BindOne(endpoint, reusePort: true, setup);
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

    private static int TakeInherited(ref Endpoint endpoint, int count, SocketSetup setup, List<int> descriptors)
    {
        var inherited = InheritedSockets.Find(endpoint.InheritedName!);
        if (inherited < 0)
        {
            return inherited;
        }

        endpoint = SocketAddress.ReadBound(inherited);
        setup.ApplyToInherited(inherited, endpoint);
        return DuplicateAll(inherited, count, descriptors);
    }

    private static int BindUnix(Endpoint endpoint, int count, SocketSetup setup, List<int> descriptors)
    {
        StaleSocket.Remove(endpoint);
        var first = BindOne(endpoint, reusePort: false, setup);
        if (first < 0)
        {
            return first;
        }

        descriptors.Add(first);
        return DuplicateAll(first, count - 1, descriptors);
    }

    private static int DuplicateAll(int descriptor, int count, List<int> descriptors)
    {
        for (var i = 0; i < count; i++)
        {
            var duplicate = Libc.Duplicate(descriptor);
            if (duplicate < 0)
            {
                return duplicate;
            }

            descriptors.Add(duplicate);
        }

        return 0;
    }

    private static int BindOne(Endpoint endpoint, bool reusePort, SocketSetup setup)
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
            setup.ApplyBeforeBind(descriptor, endpoint);
            if (reusePort)
            {
                result = Libc.SetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEPORT, 1);
            }
        }

        if (result >= 0)
        {
            result = Libc.Bind(descriptor, address[..length]);
        }

        if (result >= 0 && endpoint.IsUnix)
        {
            // Nobody can connect before it listens, so nobody gets past the permissions.
            result = setup.ApplyToPath(endpoint.UnixPath);
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
}
