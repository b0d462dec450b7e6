namespace FastLB.Core.Loop;

/// <summary>
/// One thread's loop, shaped by completions: operations are submitted, and their ends are dispatched from the loop's turn.
/// epoll can imitate completions, io_uring is made of them, and the simulator is natural in this shape.
/// <para>The contract, checked by the same tests on every back end:</para>
/// <list type="number">
/// <item>no callback runs inside a submit;</item>
/// <item>at most one receive and one send are outstanding per peer; a move is the receive of its source and the send of its target;</item>
/// <item>a buffer handed to send belongs to the loop until its completion;</item>
/// <item><see cref="Peer.OnClosed"/> comes exactly once, last, when nothing of the peer is in flight; after
/// <see cref="Close"/> it is the only callback still to come;</item>
/// <item>completions of an older generation of a descriptor are dropped.</item>
/// </list>
/// All members but <see cref="Post"/> belong to the loop's own thread.
/// </summary>
public abstract class EventLoop : OwnCacheLines
{
    private const long NsPerMs = 1_000_000;

    private readonly PostQueue _posted = new();

    protected EventLoop(int index, BufferPool buffers, ulong seed, long nowMs)
    {
        Index = index;
        Buffers = buffers;
        Random = new RandomSource(seed);
        SetClock(nowMs * NsPerMs);
        Timers = new TimerWheel(nowMs);
    }

    /// <summary>The loop's number, from 0. Per-loop counters of shared structures are found by it.</summary>
    public int Index { get; }

    public BufferPool Buffers { get; }

    public RandomSource Random { get; }

    public TimerWheel Timers { get; }

    /// <summary>Monotonic milliseconds, read once per turn. Its origin means nothing.</summary>
    public long NowMs { get; private set; }

    /// <summary>The same moment in nanoseconds, from which durations are measured.</summary>
    public long NowNs { get; private set; }

    /// <summary>The kernel interface that moves the bytes, as the status page names it.</summary>
    public abstract string EngineName { get; }

    /// <summary>
    /// Starts to accept on a socket that is already bound and listening, and takes it over. Binding is done before, where
    /// an address in use can still be told to a person.
    /// </summary>
    public abstract void Listen(Listener listener, int socket);

    /// <summary>Accepts what already waits in the queue, then closes the listening socket.</summary>
    public abstract void StopListening(Listener listener);

    /// <summary>A listener that was full (<see cref="Listener.TryAdmit"/>) may have room again. Nothing happens for one that accepts, or has stopped.</summary>
    public virtual void ResumeAccepting(Listener listener) => throw new NotSupportedException($"{EngineName} accepts nothing.");

    /// <summary>Opens a connection for <paramref name="peer"/>; its <see cref="Peer.OnConnected"/> tells how that ended.</summary>
    public abstract void Connect(Peer peer, Endpoint endpoint);

    /// <summary>Asks for the next bytes. Costs no memory while it waits.</summary>
    public abstract void Receive(Peer peer);

    /// <summary>
    /// Sends the bytes of <paramref name="buffer"/> from <paramref name="start"/> to <paramref name="end"/>, all of them or
    /// until an error. Takes over one reference to the buffer.
    /// </summary>
    public abstract void Send(Peer peer, LoopBuffer buffer, int start, int end);

    /// <summary>
    /// From how many bytes at hand on a move beats copying them through a buffer, as measured on this kind of loop;
    /// <see cref="int.MaxValue"/> where nothing is ever moved.
    /// </summary>
    public virtual int WorthMovingBytes => int.MaxValue;

    /// <summary>Whether <see cref="Move"/> may be called for these two now. When not, the caller copies: that is never wrong.</summary>
    public virtual bool CanMove(Peer source, Peer target) => false;

    /// <summary>
    /// Lets the kernel take up to <paramref name="limit"/> bytes (<see cref="long.MaxValue"/>: until the stream's end) from one peer to
    /// the other, past user space. It counts as the source's outstanding receive and the target's outstanding send, and ends in
    /// one <see cref="Peer.OnMoved"/> of the source. Bytes are read only when those before them were taken, so what is on its way
    /// is bounded by one pipe.
    /// <para>
    /// Closing either peer gives the move up, without a callback, and throws away what is on its way. The other peer's receive or
    /// send is over then, too. Its stream has a hole: a source may still be received from, to drain it; a target can only be closed.
    /// </para>
    /// </summary>
    public virtual void Move(Peer source, Peer target, long limit) => throw new NotSupportedException($"{EngineName} moves nothing.");

    /// <summary>
    /// Lets the kernel pass everything that arrives at one of two connections on to the other, both ways, without waking anybody: two moves
    /// without a limit, each of which ends with its own <see cref="Peer.OnMoved"/>. What the other side has sent before goes along.
    /// Nothing may have been received from or sent to either peer. False where that cannot be done, and then nothing has begun.
    /// After <see cref="MoveEnd.Yielded"/> that direction is copied while the other one goes on.
    /// </summary>
    public virtual bool TryJoin(Peer first, Peer second) => false;

    /// <summary>How many bytes of the move that is outstanding from <paramref name="source"/> its target's kernel has taken; 0 without one.</summary>
    public virtual long Moved(Peer source) => 0;

    /// <summary>Whether that move has bytes that its target does not take. Otherwise it waits for its source.</summary>
    public virtual bool IsMoveAwaitingTarget(Peer source) => false;

    /// <summary>Ends the peer's sending direction (TCP FIN). Only when no send is outstanding.</summary>
    public abstract void ShutdownSend(Peer peer);

    /// <summary>
    /// Closes the peer; what is outstanding is given up. With <paramref name="reset"/> the other side sees an error
    /// (TCP RST) instead of an end, so that a cut message never looks complete. Closing twice is closing once.
    /// </summary>
    public abstract void Close(Peer peer, bool reset = false);

    /// <summary>
    /// A number that grows while an outstanding send gets on, be it into the kernel or out of it to the other side. Asked by timers,
    /// to tell a slow receiver from a silent one. A loop that cannot see into the kernel answers <see cref="Peer.SendPosition"/>.
    /// </summary>
    public virtual long SendProgress(Peer peer) => peer.SendPosition;

    /// <summary>
    /// Whether bytes or an end are known to wait at a peer that has not been told yet. An idle connection of which that is true must not
    /// be used. With <paramref name="askKernel"/> the loop looks again instead of going by what it was told, at the price of a call. A loop
    /// that cannot tell answers false.
    /// </summary>
    public virtual bool HasInput(Peer peer, bool askKernel) => false;

    /// <summary>
    /// The clock as it stands now, in nanoseconds of <see cref="NowNs"/>: where a duration ends that is shorter than a turn. It costs a
    /// read of the clock (some 30 ns); a loop whose time passes between turns only answers <see cref="NowNs"/>.
    /// </summary>
    public virtual long ReadClockNs() => NowNs;

    /// <summary>Runs <paramref name="work"/> on the loop's thread soon. Safe from every thread.</summary>
    public void Post(PostedWork work)
    {
        if (_posted.Push(work))
        {
            Wake();
        }
    }

    /// <summary>Makes a sleeping loop begin its next turn. Called from other threads.</summary>
    protected abstract void Wake();

    /// <summary>Begins a turn: all of it has this time.</summary>
    protected void SetClock(long nowNs)
    {
        NowNs = nowNs;
        NowMs = nowNs / NsPerMs;
    }

    protected bool HasPosted => !_posted.IsEmpty;

    protected void RunPosted() => _posted.RunAll(this);
}
