namespace FastLB.Core.Loop;

/// <summary>
/// One end of one connection as its loop sees it: a client or an upstream. All members are called on the loop's thread,
/// and only from the loop's turn, never from inside a submit (see <see cref="EventLoop"/> for the whole contract).
/// A peer has one timer of its own, which it inherits.
/// </summary>
public abstract class Peer : LoopTimer
{
    /// <summary>What the loop keeps about this peer. Only the loop that owns the peer reads or writes it.</summary>
    internal PeerState State;

    /// <summary>True from the moment the loop adopted the peer until its <see cref="OnClosed"/>.</summary>
    public bool IsOpen => (State.Flags & (PeerFlags.Attached | PeerFlags.CloseRequested)) == PeerFlags.Attached;

    /// <summary>True while a send of this peer has not completed. A second send would break the contract.</summary>
    public bool IsSending => (State.Flags & PeerFlags.SendOutstanding) != 0;

    /// <summary>True while a receive of this peer has not completed.</summary>
    public bool IsReceiving => (State.Flags & PeerFlags.ReceiveArmed) != 0;

    /// <summary>True while a move from this peer has not ended.</summary>
    public bool IsMoving => (State.Flags & PeerFlags.MoveSource) != 0;

    /// <summary>After a send that failed: the offset in its buffer of the first byte that the kernel did not take.</summary>
    public int SendPosition => State.SendOffset;

    /// <summary>A listener's connection was adopted by the loop. Comes first, once, and only for accepted peers.</summary>
    public virtual void OnAccepted() => throw new NotSupportedException($"{GetType().Name} is never accepted.");

    /// <summary>A connect ended: 0, or -errno. On an error the peer still has to be closed.</summary>
    public virtual void OnConnected(int result) => throw new NotSupportedException($"{GetType().Name} never connects.");

    /// <summary>
    /// A receive ended. For a positive <paramref name="result"/> that many bytes stand in <paramref name="buffer"/>
    /// from <see cref="LoopBuffer.DataOffset"/> on, and the callee owns one reference to the buffer. For 0 (the other side
    /// ended its stream) and -errno there is no buffer.
    /// </summary>
    public abstract void OnReceived(LoopBuffer? buffer, int result);

    /// <summary>A send ended: 0 when all its bytes were taken by the kernel, or -errno. Its buffer reference is gone.</summary>
    public abstract void OnSent(int result);

    /// <summary>A move from this peer ended. It receives no more, and the move's target sends no more.</summary>
    public virtual void OnMoved(in MoveResult result) => throw new NotSupportedException($"{GetType().Name} is never moved from.");

    /// <summary>The last callback. Nothing of the peer is in flight any more, so its object may be used again.</summary>
    public abstract void OnClosed();
}

[Flags]
internal enum PeerFlags : uint
{
    None = 0,
    Attached = 1 << 0,
    Connecting = 1 << 1,
    ReceiveArmed = 1 << 2,
    SendOutstanding = 1 << 3,
    SendCompleted = 1 << 4,
    CloseRequested = 1 << 5,
    ResetOnClose = 1 << 6,
    Readable = 1 << 7,
    Writable = 1 << 8,
    ReadEnding = 1 << 9,
    InReadyList = 1 << 10,
    ConnectCompleted = 1 << 11,
    AcceptPending = 1 << 12,
    Starved = 1 << 13,
    SendSideShut = 1 << 14,
    ReceiveSubmitted = 1 << 15,
    ReceiveEnded = 1 << 16,
    ReceiveCanceled = 1 << 17,
    ReceivesLarge = 1 << 18,
    CancelSubmitted = 1 << 19,
    CloseSubmitted = 1 << 20,

    /// <summary>The outstanding receive is a move from this peer.</summary>
    MoveSource = 1 << 21,

    ReadPollSubmitted = 1 << 23,
    WritePollSubmitted = 1 << 24,

    /// <summary>The outstanding send is a move to this peer.</summary>
    MoveTarget = 1 << 22,

    /// <summary>The moves are those of <see cref="EventLoop.TryJoin"/>.</summary>
    Joined = 1 << 25,
}

/// <summary>The loop's own record of a peer; a struct inside the peer so that an idle connection is one object.</summary>
internal struct PeerState
{
    internal int Handle;
    internal int SendResult;
    internal int SendOffset;
    internal int SendEnd;
    internal uint Generation;
    internal PeerFlags Flags;

    /// <summary>How the stream ended, 0 or -errno, once <see cref="PeerFlags.ReceiveEnded"/> is set.</summary>
    internal int ReceiveEnd;

    /// <summary>Operations of the peer that the kernel has not completed yet.</summary>
    internal byte InFlight;

    internal byte HeldCount;

    /// <summary>Receives in a row that would have fitted into a small buffer.</summary>
    internal byte SmallReceives;

    internal LoopBuffer? SendBuffer;

    /// <summary>The youngest of the buffers that came before the peer asked for them, in a ring that it closes with the oldest.</summary>
    internal LoopBuffer? LastHeld;

    internal Peer? NextReady;
}
