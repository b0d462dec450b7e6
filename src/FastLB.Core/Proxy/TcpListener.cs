using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>One loop's part of a TCP listener, all of whose connections go to one pool.</summary>
public sealed class TcpListener(ProxyLoop proxy, ListenerSettings settings, LoopPool pool) : Listener
{
    public ListenerSettings Settings { get; } = settings;

    public LoopPool Pool { get; } = pool;

    public override Peer OnAccepting(in ClientAddress address) => proxy.RentTunnel(this, address);
}
