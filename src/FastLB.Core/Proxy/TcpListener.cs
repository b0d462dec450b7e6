using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of a TCP listener, all of whose connections go to one pool.</summary>
public sealed class TcpListener : Listener
{
    private readonly ProxyLoop _proxy;

    public TcpListener(ProxyLoop proxy, ListenerSettings settings, LoopPool pool, ConcurrencyPerClient? perClient = null, ConnectionPlaces? places = null)
    {
        _proxy = proxy;
        Settings = settings;
        Pool = pool;
        Destination = ListenerAddress.Of(settings.Bind);
        Doorway = new Doorway(proxy, this, settings, perClient, places);
    }

    public ListenerSettings Settings { get; }

    public LoopPool Pool { get; }

    /// <summary>Where clients connect to, as PROXY headers say it.</summary>
    internal ClientAddress Destination { get; }

    internal Doorway Doorway { get; }

    public override bool MayBeFull => Doorway.LetsWait;

    public override bool TryAdmit() => Doorway.TryAdmit();

    public override void NotAdmitted() => Doorway.NotAdmitted();

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!Doorway.TryTakePlace())
        {
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
            var connection = _proxy.RentTunnel(this, address, asks);
            connection.Hold(place);
            return connection;
        }

        Doorway.GiveBackPlace();
        return null;
    }
}
