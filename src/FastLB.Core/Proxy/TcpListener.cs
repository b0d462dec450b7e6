using System.Text;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of a TCP listener, all of whose connections go to one pool.</summary>
public sealed class TcpListener(ProxyLoop proxy, ListenerSettings settings, LoopPool pool, ConcurrencyPerClient? perClient = null) : Listener
{
    public ListenerSettings Settings { get; } = settings;

    /// <summary>Counts each client's connections over all loops; null: they are not limited.</summary>
    internal ConcurrencyPerClient? PerClient { get; } = perClient;

    public LoopPool Pool { get; } = pool;

    /// <summary>Its address, as logs name it.</summary>
    internal byte[] NameBytes { get; } = Encoding.UTF8.GetBytes(settings.Bind.ToString());

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!ClientConnection.TryEnter(PerClient, address, out var place))
        {
            proxy.Metrics.ConnectionsRefused++;
            return null;
        }

        var connection = proxy.RentTunnel(this, address);
        connection.Hold(place);
        return connection;
    }
}
