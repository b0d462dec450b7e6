using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of a TCP listener, all of whose connections go to one pool.</summary>
public sealed class TcpListener(ProxyLoop proxy, ListenerSettings settings, LoopPool pool, ConcurrencyPerClient? perClient = null) : Listener
{
    public ListenerSettings Settings { get; } = settings;

    public LoopPool Pool { get; } = pool;

    public override Peer? OnAccepting(in ClientAddress address)
    {
        if (!ClientConnection.TryEnter(perClient, address, out var place))
        {
            proxy.Metrics.ConnectionsRefused++;
            return null;
        }

        var connection = proxy.RentTunnel(this, address);
        connection.Hold(perClient, place);
        return connection;
    }
}
