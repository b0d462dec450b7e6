using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of an HTTP listener. Its settings and routes are exchanged by <see cref="Use"/>; a connection looks at them anew for each request.</summary>
public sealed class HttpListener : Listener
{
    /// <summary>Connections beyond a limit, the listener's or their client's, that are told so at a time; whoever comes while so many are is closed without a word.</summary>
    internal const int MaxAnsweredAtOnce = 256;

    private readonly ProxyLoop _proxy;
    private LoopRoute[] _routes = [];
    private int _answered;

    public HttpListener(
        ProxyLoop proxy, ListenerSettings settings, RouteTable routes, ConcurrencyPerClient? perClient = null, ConnectionPlaces? places = null)
    {
        _proxy = proxy;
        Settings = settings;
        Routes = routes;
        Name = settings.Bind.ToString();
        NameBytes = Encoding.UTF8.GetBytes(Name);
        Identity = KeyHash.Of(NameBytes);
        HeadLimits = settings.Limits;
        FallbackHost = Encoding.ASCII.GetBytes(settings.Bind.IsUnix ? "localhost" : settings.Bind.ToString());
        Destination = ListenerAddress.Of(settings.Bind);
        Doorway = new Doorway(proxy, this, settings);
        Use(settings, routes, perClient, places);
    }

    public ListenerSettings Settings { get; private set; }

    public RouteTable Routes { get; private set; }

    internal Doorway Doorway { get; }

    /// <summary>Null where requests are forwarded in the usual way.</summary>
    internal Forwarder? Forwarder { get; private set; }

    /// <summary>Where clients connect to, as PROXY headers say it.</summary>
    internal ClientAddress Destination { get; }

    /// <summary>Tells its routes from those of other listeners, alike on all loops.</summary>
    internal ulong Identity { get; }

    /// <summary>Its address, as logs name it.</summary>
    internal string Name { get; }

    /// <summary>Likewise.</summary>
    internal byte[] NameBytes { get; }

    /// <summary>What stands in Host towards a worker when an HTTP/1.0 client sent none.</summary>
    internal byte[] FallbackHost { get; }

    /// <summary>The limits that a request's head is checked against; where routes have limits for bodies, those are checked afterwards.</summary>
    internal HttpLimits HeadLimits { get; private set; }

    /// <summary>What a rule does, by its number.</summary>
    internal LoopRoute RouteOf(int rule) => _routes[rule];

    /// <summary>True once it has been taken out of the configuration: answers to those who came by it say that the connection closes.</summary>
    internal bool IsDraining => DrainWindowMs >= 0;

    /// <summary>Within how many milliseconds its idle connections close; -1 as long as it serves.</summary>
    internal int DrainWindowMs { get; set; } = -1;

    /// <summary>From the next request on. The pools that the routes name are the loop's already.</summary>
    public void Use(ListenerSettings settings, RouteTable routes, ConcurrencyPerClient? perClient, ConnectionPlaces? places)
    {
        if (Forwarder?.Settings != settings.Forwarding)
        {
            Forwarder = Forwarder.Of(settings.Forwarding, settings.Bind.IsUnix ? 80 : settings.Bind.Port);
        }

        Settings = settings;
        Routes = routes;
        HeadLimits = routes.HasBodyLimits ? settings.Limits with { BodyBytes = long.MaxValue } : settings.Limits;
        Doorway.Use(settings, perClient, places);
        _routes = [.. routes.Routes.Select(r => new LoopRoute(r, r.Rule.PoolName.Length == 0 ? null : _proxy.PoolNamed(r.Rule.PoolName), settings))];
    }

    public override bool MayBeFull => Doorway.LetsWait;

    public override bool TryAdmit() => Doorway.TryAdmit();

    public override void NotAdmitted() => Doorway.NotAdmitted();

    public override void OnStopped() => Doorway.OnStopped();

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!Doorway.TryTakePlace(out var isCounted))
        {
            if (TryBeginAnswering())
            {
                // It holds no place, by which it is known.
                return _proxy.RentHttp(this, address);
            }

            _proxy.Metrics.ConnectionsRefused++;
            return null;
        }

        var asks = Doorway.AsksForHeader(address);
        if (Doorway.Refuses(address))
        {
            _proxy.Metrics.ConnectionsRefused++;
        }
        else if (Doorway.TryEnter(address, isKnown: !asks, out var place))
        {
            var connection = _proxy.RentHttp(this, address, asks);
            connection.Hold(place, isCounted);
            return connection;
        }
        else if (TryBeginAnswering())
        {
            Doorway.GiveBackPlace(isCounted);
            var connection = _proxy.RentHttp(this, address);
            connection.NoteClientHasTooMany();
            return connection;
        }

        Doorway.GiveBackPlace(isCounted);
        return null;
    }

    /// <summary>Counts a connection that is only told that there is no place for it. False when so many are that this one is closed without a word.</summary>
    internal bool TryBeginAnswering()
    {
        if (_answered >= MaxAnsweredAtOnce)
        {
            return false;
        }

        _answered++;
        return true;
    }

    /// <summary>A connection that was only told that there is no place is over.</summary>
    internal void NoteAnswered() => _answered--;
}
