using System.Text;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of a TCP listener, all of whose connections go to one pool.</summary>
public sealed class TcpListener : Listener
{
    private readonly ProxyLoop _proxy;

    public TcpListener(ProxyLoop proxy, ListenerSettings settings, ConcurrencyPerClient? perClient = null, ConnectionPlaces? places = null)
    {
        _proxy = proxy;
        Settings = settings;
        NameBytes = Encoding.UTF8.GetBytes(settings.Bind.ToString());
        Pool = proxy.PoolNamed(settings.Routes[0].PoolName);
        Destination = ListenerAddress.Of(settings.Bind);
        Doorway = new Doorway(proxy, this, settings);
        Doorway.Use(settings, perClient, places);
    }

    public ListenerSettings Settings { get; private set; }

    internal Doorway Doorway { get; }

    /// <summary>Where clients connect to, as PROXY headers say it.</summary>
    internal ClientAddress Destination { get; }

    public LoopPool Pool { get; private set; }

    /// <summary>From the next connection on. Those that are open keep their pool.</summary>
    public void Use(ListenerSettings settings, ConcurrencyPerClient? perClient, ConnectionPlaces? places)
    {
        Settings = settings;
        Pool = _proxy.PoolNamed(settings.Routes[0].PoolName);
        Doorway.Use(settings, perClient, places);
    }

    public override bool MayBeFull => Doorway.LetsWait;

    public override bool TryAdmit() => Doorway.TryAdmit();

    public override void NotAdmitted() => Doorway.NotAdmitted();

    public override void OnStopped() => Doorway.OnStopped();

    /// <summary>Its address, as logs name it.</summary>
    internal byte[] NameBytes { get; }

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!Doorway.TryTakePlace(out var isCounted))
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
            connection.Hold(place, isCounted);
            return connection;
        }

        Doorway.GiveBackPlace(isCounted);
        return null;
    }
}
