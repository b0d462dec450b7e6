using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>
/// Who uses a connection to a worker, and is told everything that happens to it: an <see cref="HttpExchange"/>, a
/// <see cref="PipelineLane"/> or a <see cref="TunnelConnection"/>. The calls are those of <see cref="Peer"/>, on the loop's thread.
/// </summary>
public interface IUpstreamOwner
{
    /// <summary>The client's connection that it is used for.</summary>
    ClientConnection Client { get; }

    /// <summary>How the connect ended: 0, or -errno.</summary>
    void OnUpstreamConnected(int result);

    /// <summary>See <see cref="Peer.OnReceived"/>; the callee owns one reference to the buffer.</summary>
    void OnUpstreamReceived(LoopBuffer? buffer, int result);

    /// <summary>See <see cref="Peer.OnSent"/>.</summary>
    void OnUpstreamSent(int result);

    /// <summary>See <see cref="Peer.OnMoved"/>: a move from the worker to the client ended.</summary>
    void OnUpstreamMoved(in MoveResult result);

    void OnUpstreamTimer();
}
