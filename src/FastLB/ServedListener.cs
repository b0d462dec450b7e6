using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;
using FastLB.Linux;

namespace FastLB;

/// <summary>
/// A listener as the server holds it: its sockets, and each loop's part of it. Made and changed by one thread at a time; what concerns a loop is done on
/// that loop, by the methods that say so.
/// </summary>
internal sealed class ServedListener
{
    /// <summary>Clients that are counted at once where their connections are limited; nine bytes each.</summary>
    private const int ClientSlots = 1 << 17;

    private readonly Listener?[] _parts;
    private ConcurrencyPerClient? _perClient;
    private RouteTable[] _routes;

    private readonly ConnectionPlaces _total;
    private ConnectionPlaces? _places;

    private ServedListener(ListenerSettings settings, ListenSockets sockets, int loops, ConnectionPlaces total)
    {
        _total = total;
        Sockets = sockets;
        Settings = settings;
        _parts = new Listener?[loops];
        _routes = RouteTable.ForLoops(settings.Routes, Switches, _parts.Length);
        LimitClients();
        LimitConnections();
    }

    public ListenerSettings Settings { get; private set; }

    public ListenSockets Sockets { get; }

    /// <summary>What operators say of the maintenance of its named routes; it outlives reloads.</summary>
    public RouteSwitches Switches { get; } = new();

    /// <summary>How many connections it has and may have; null where nothing limits them.</summary>
    public ConnectionPlaces? Places => _places;

    /// <summary>What tells in the log when it is full; null where nothing limits it.</summary>
    public WatchedListener? Watched => _places is null ? null : new WatchedListener(Sockets.Endpoint.ToString(), Settings, _places);

    /// <summary>Takes the address; <see cref="ListenSockets.Listen"/> is still to come. 0, or -errno with nothing left open.</summary>
    /// <param name="besideOwn">Whether FastLB itself listens there already, so that an address in use says nothing.</param>
    /// <param name="total">The places of the whole server.</param>
    public static int Bind(ListenerSettings settings, int loops, bool besideOwn, ConnectionPlaces total, out ServedListener? listener)
    {
        listener = null;
        var result = ListenSockets.Bind(settings.Bind, loops, settings.ClientSpeaksFirst, settings.Socket, out var sockets, besideOwn);
        if (result >= 0)
        {
            listener = new ServedListener(settings, sockets!, loops, total);
        }

        return result;
    }

    /// <summary>Closes sockets that no loop has taken over.</summary>
    public void Abandon()
    {
        foreach (var descriptor in Sockets.Descriptors)
        {
            ListenSockets.Abandon(descriptor);
        }
    }

    /// <summary>Other settings for the same sockets; each loop goes by them after <see cref="Refresh"/>.</summary>
    public void Use(ListenerSettings settings)
    {
        Settings = settings;
        _routes = RouteTable.ForLoops(settings.Routes, Switches, _parts.Length);
        Switches.KeepOnly(settings.Routes.Select(r => r.Name).OfType<string>());
        LimitClients();
        LimitConnections();
    }

    /// <summary>Begins to accept. On the loop's thread, or before it runs.</summary>
    public void ListenOn(int loop, EventLoop eventLoop, ProxyLoop proxy)
    {
        var bound = Settings with { Bind = Sockets.Endpoint };
        Listener part = Settings.Protocol == ListenerProtocol.Tcp
            ? new TcpListener(proxy, bound, _perClient, _places)
            : new HttpListener(proxy, bound, _routes[loop], _perClient, _places);
        _parts[loop] = part;
        eventLoop.Listen(part, Sockets.Descriptors[loop]);
    }

    /// <summary>Takes over the settings and pools of now. On the loop's thread.</summary>
    public void Refresh(int loop)
    {
        var bound = Settings with { Bind = Sockets.Endpoint };
        switch (_parts[loop])
        {
            case HttpListener http:
                http.Use(bound, _routes[loop], _perClient, _places);
                break;
            case TcpListener tcp:
                tcp.Use(bound, _perClient, _places);
                break;
        }
    }

    /// <summary>Accepts what waits, and nothing more. On the loop's thread.</summary>
    public void StopOn(int loop, EventLoop eventLoop)
    {
        if (_parts[loop] is { IsListening: true } part)
        {
            Sockets.RefuseUnix(loop);
            eventLoop.StopListening(part);
        }
    }

    /// <summary>Those who came by it are to go: answers say so, idle connections close within the window. On the loop's thread.</summary>
    public void DrainOn(int loop, ProxyLoop proxy, int windowMs)
    {
        if (_parts[loop] is HttpListener http)
        {
            proxy.BeginDrain(http, windowMs);
        }
    }

    /// <summary>Ends what still runs of those who came by it. On the loop's thread.</summary>
    public void CutOffOn(int loop, ProxyLoop proxy) => proxy.CutOff(_parts[loop]!);

    /// <summary>The path of a unix socket stays in the file system until somebody removes it.</summary>
    public void RemovePath()
    {
        if (Sockets.Endpoint.IsUnix && !Sockets.IsInherited)
        {
            File.Delete(Sockets.Endpoint.UnixPath);
        }
    }

    /// <summary>Once clients are counted they stay so, or the count would be wrong when they leave; without a limit they may be any number.</summary>
    private void LimitClients()
    {
        if (Settings.MaxConnectionsPerClient > 0)
        {
            _perClient ??= new ConcurrencyPerClient(Settings.MaxConnectionsPerClient, ClientSlots);
            _perClient.Limit = Settings.MaxConnectionsPerClient;
        }
        else if (_perClient is not null)
        {
            _perClient.Limit = ConcurrencyPerClient.MaxLimit;
        }
    }

    /// <summary>Connections that were accepted while nothing limited them are not counted, and do not give back what they did not take. Once there is a count it stays.</summary>
    private void LimitConnections()
    {
        if (Settings.MaxConnections > 0 || _total.Limit > 0)
        {
            _places ??= new ConnectionPlaces(Settings.MaxConnections, _total);
        }

        if (_places is not null)
        {
            _places.Limit = Settings.MaxConnections;
        }
    }
}
