using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of an HTTP listener.</summary>
public sealed class HttpListener(ProxyLoop proxy, ListenerSettings settings, RouteTable routes, ConcurrencyPerClient? perClient = null) : Listener
{
    public ListenerSettings Settings { get; } = settings;

    /// <summary>Counts each client's connections over all loops; null: they are not limited.</summary>
    internal ConcurrencyPerClient? PerClient { get; } = perClient;

    /// <summary>Tells its routes from those of other listeners, alike on all loops.</summary>
    internal ulong Identity { get; } = KeyHash.Of(Encoding.UTF8.GetBytes(settings.Bind.ToString()));

    public RouteTable Routes { get; } = routes;

    /// <summary>Its address, as logs name it.</summary>
    internal string Name { get; } = settings.Bind.ToString();

    /// <summary>Likewise.</summary>
    internal byte[] NameBytes { get; } = Encoding.UTF8.GetBytes(settings.Bind.ToString());

    /// <summary>What stands in Host towards a worker when an HTTP/1.0 client sent none.</summary>
    internal byte[] FallbackHost { get; } = Encoding.ASCII.GetBytes(settings.Bind.IsUnix ? "localhost" : settings.Bind.ToString());

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!ClientConnection.TryEnter(PerClient, address, out var place))
        {
            proxy.Metrics.ConnectionsRefused++;
            return null;
        }

        var connection = proxy.RentHttp(this, address);
        connection.Hold(place);
        return connection;
    }
}
