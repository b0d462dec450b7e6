using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of an HTTP listener.</summary>
public sealed class HttpListener : Listener
{
    /// <summary>Connections beyond the limit that are told so at a time; whoever comes while so many are is closed without a word.</summary>
    internal const int MaxAnsweredAtOnce = 256;

    private readonly ProxyLoop _proxy;
    private int _answered;

    public HttpListener(
        ProxyLoop proxy, ListenerSettings settings, RouteTable routes, ConcurrencyPerClient? perClient = null, ConnectionPlaces? places = null)
    {
        _proxy = proxy;
        Settings = settings;
        Routes = routes;
        Identity = KeyHash.Of(Encoding.UTF8.GetBytes(settings.Bind.ToString()));
        FallbackHost = Encoding.ASCII.GetBytes(settings.Bind.IsUnix ? "localhost" : settings.Bind.ToString());
        Destination = ListenerAddress.Of(settings.Bind);
        Forwarder = Forwarder.Of(settings.Forwarding, settings.Bind.IsUnix ? 80 : settings.Bind.Port);
        Doorway = new Doorway(proxy, this, settings, perClient, places);
    }

    public ListenerSettings Settings { get; }

    /// <summary>Tells its routes from those of other listeners, alike on all loops.</summary>
    internal ulong Identity { get; }

    public RouteTable Routes { get; }

    /// <summary>What stands in Host towards a worker when an HTTP/1.0 client sent none.</summary>
    internal byte[] FallbackHost { get; }

    /// <summary>Where clients connect to, as PROXY headers say it.</summary>
    internal ClientAddress Destination { get; }

    /// <summary>Null where requests are forwarded in the usual way.</summary>
    internal Forwarder? Forwarder { get; }

    internal Doorway Doorway { get; }

    public override bool MayBeFull => Doorway.LetsWait;

    public override bool TryAdmit() => Doorway.TryAdmit();

    public override void NotAdmitted() => Doorway.NotAdmitted();

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!Doorway.TryTakePlace())
        {
            return AcceptToAnswer(address);
        }

        if (Doorway.Refuses(address))
        {
            _proxy.Metrics.ConnectionsRefused++;
            Doorway.GiveBackPlace();
            return null;
        }

        var asks = Doorway.AsksForHeader(address);
        if (!Doorway.TryEnter(address, isKnown: !asks, out var place))
        {
            Doorway.GiveBackPlace();
            return null;
        }

        var connection = _proxy.RentHttp(this, address, asks);
        connection.Hold(place);
        return connection;
    }

    /// <summary>A connection that was only told that there is no place is over.</summary>
    internal void NoteAnswered() => _answered--;

    private HttpConnection? AcceptToAnswer(in ClientAddress address)
    {
        if (_answered >= MaxAnsweredAtOnce)
        {
            _proxy.Metrics.ConnectionsRefused++;
            return null;
        }

        // It holds no place, by which it is known.
        _answered++;
        return _proxy.RentHttp(this, address);
    }
}
