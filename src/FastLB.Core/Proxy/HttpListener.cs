using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of an HTTP listener. Its settings and routes are exchanged by <see cref="Use"/>; a connection looks at them anew for each request.</summary>
public sealed class HttpListener : Listener
{
    private readonly ProxyLoop _proxy;
    private LoopRoute[] _routes = [];

    public HttpListener(ProxyLoop proxy, ListenerSettings settings, RouteTable routes, ConcurrencyPerClient? perClient = null)
    {
        _proxy = proxy;
        Settings = settings;
        Routes = routes;
        Name = settings.Bind.ToString();
        NameBytes = Encoding.UTF8.GetBytes(Name);
        Identity = KeyHash.Of(NameBytes);
        HeadLimits = settings.Limits;
        FallbackHost = Encoding.ASCII.GetBytes(settings.Bind.IsUnix ? "localhost" : settings.Bind.ToString());
        Use(settings, routes, perClient);
    }

    public ListenerSettings Settings { get; private set; }

    public RouteTable Routes { get; private set; }

    /// <summary>Counts each client's connections over all loops; null: they are not limited.</summary>
    internal ConcurrencyPerClient? PerClient { get; private set; }

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
    public void Use(ListenerSettings settings, RouteTable routes, ConcurrencyPerClient? perClient)
    {
        Settings = settings;
        Routes = routes;
        PerClient = perClient;
        HeadLimits = routes.HasBodyLimits ? settings.Limits with { BodyBytes = long.MaxValue } : settings.Limits;
        _routes = [.. routes.Routes.Select(r => new LoopRoute(r, r.Rule.PoolName.Length == 0 ? null : _proxy.PoolNamed(r.Rule.PoolName), settings))];
    }

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!ClientConnection.TryEnter(PerClient, address, out var place))
        {
            _proxy.Metrics.ConnectionsRefused++;
            return null;
        }

        var connection = _proxy.RentHttp(this, address);
        connection.Hold(place);
        return connection;
    }
}
