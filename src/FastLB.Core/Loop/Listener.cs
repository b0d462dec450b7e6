namespace FastLB.Core.Loop;

/// <summary>
/// What a loop accepts for. Every loop has its own socket and its own listener object for the same address, so all
/// calls come on that loop's thread.
/// </summary>
public abstract class Listener
{
    internal int Handle = -1;

    /// <summary>True between <see cref="EventLoop.Listen"/> and <see cref="EventLoop.StopListening"/>.</summary>
    public bool IsListening => Handle >= 0;

    /// <summary>
    /// A connection arrived. The peer that takes it is returned and gets <see cref="Peer.OnAccepted"/> in the loop's turn;
    /// null refuses it, and the loop closes it at once.
    /// </summary>
    public abstract Peer? OnAccepting(in ClientAddress address);
}
