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

    /// <summary>Whether <see cref="TryAdmit"/> may ever say no.</summary>
    public virtual bool MayBeFull => false;

    /// <summary>
    /// Asked before a connection is taken over. False leaves it where it is, in the kernel's queue or, accepted, on one descriptor that nobody serves, and
    /// the loop accepts no more until <see cref="EventLoop.ResumeAccepting"/>. After true comes <see cref="OnAccepting"/> or <see cref="NotAdmitted"/>.
    /// </summary>
    public virtual bool TryAdmit() => true;

    /// <summary>No connection came of it.</summary>
    public virtual void NotAdmitted()
    {
    }

    /// <summary>
    /// A connection arrived. The peer that takes it is returned and gets <see cref="Peer.OnAccepted"/> in the loop's turn;
    /// null refuses it, and the loop closes it at once.
    /// </summary>
    public abstract Peer? OnAccepting(in ClientAddress address);

    /// <summary>
    /// The last callback, once, after <see cref="EventLoop.StopListening"/>: in it, or in a later turn where the kernel has to let go first. No connection comes any more, and the
    /// loop has forgotten the listener.
    /// </summary>
    public virtual void OnStopped()
    {
    }
}
