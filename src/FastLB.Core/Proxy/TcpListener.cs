using System.Text;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of a TCP listener, all of whose connections go to one pool.</summary>
public sealed class TcpListener : Listener
{
    private readonly ProxyLoop _proxy;

    public TcpListener(ProxyLoop proxy, ListenerSettings settings, ConcurrencyPerClient? perClient = null)
    {
        _proxy = proxy;
        Settings = settings;
        NameBytes = Encoding.UTF8.GetBytes(settings.Bind.ToString());
        Pool = proxy.PoolNamed(settings.Routes[0].PoolName);
        PerClient = perClient;
    }

    public ListenerSettings Settings { get; private set; }

    /// <summary>Counts each client's connections over all loops; null: they are not limited.</summary>
    internal ConcurrencyPerClient? PerClient { get; private set; }

    public LoopPool Pool { get; private set; }

    /// <summary>From the next connection on. Those that are open keep their pool.</summary>
    public void Use(ListenerSettings settings, ConcurrencyPerClient? perClient)
    {
        Settings = settings;
        Pool = _proxy.PoolNamed(settings.Routes[0].PoolName);
        PerClient = perClient;
    }

    /// <summary>Its address, as logs name it.</summary>
    internal byte[] NameBytes { get; }

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!ClientConnection.TryEnter(PerClient, address, out var place))
        {
            _proxy.Metrics.ConnectionsRefused++;
            return null;
        }

        var connection = _proxy.RentTunnel(this, address);
        connection.Hold(place);
        return connection;
    }
}
