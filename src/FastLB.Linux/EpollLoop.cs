using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The loop on edge-triggered epoll. A descriptor is registered once, for both directions; after that the kernel only
/// says when something changed, and the flags of <see cref="PeerState"/> remember it. A turn:
/// <list type="number">
/// <item>sleep in epoll_wait, not at all while peers are ready;</item>
/// <item>read the clock, once;</item>
/// <item>turn events into flags and put their peers into the ready list;</item>
/// <item>call the timers that are due and the work that other threads posted;</item>
/// <item>dispatch the ready peers: completions first, then at most one receive each, a bounded number of rounds.</item>
/// </list>
/// Here a connection begins and ends. Accepting, the ready list, sending and receiving, and moving have files of their own.
/// </summary>
public sealed unsafe partial class EpollLoop : KernelLoop
{
    private const int EventsPerTurn = 256;

    private const uint AllEvents = Libc.EPOLLIN | Libc.EPOLLOUT | Libc.EPOLLRDHUP | Libc.EPOLLET;

    private const ulong WakeTag = ulong.MaxValue;
    private const ulong ListenerTag = 1UL << 63;

    private readonly int _epoll;
    private readonly int _wake;
    private readonly byte* _events;
    private Peer?[] _peers = new Peer?[1024];
    private uint[] _generations = new uint[1024];
    private int _spunEvents;
    private bool _disposed;

    public EpollLoop(int index, BufferPool buffers, ulong seed)
        : this(index, buffers, seed, LimitPipes())
    {
    }

    internal EpollLoop(int index, BufferPool buffers, ulong seed, int pipeLimit)
        : base(index, buffers, seed, pipeLimit)
    {
        _epoll = Demand(Libc.EpollCreate(), "epoll_create1");
        _wake = Demand(Libc.EventDescriptor(), "eventfd");
        Demand(Libc.EpollAdd(_epoll, _wake, Libc.EPOLLIN | Libc.EPOLLET, WakeTag), "epoll_ctl");
        _events = (byte*)NativeMemory.Alloc((nuint)(EventsPerTurn * EpollEvents.MaxEntrySize));
    }

    public override string EngineName => "epoll";

    public override void RunTurn(int maxWaitMs = -1)
    {
        // 1. Sleep until something happens.
        var waitMs = WaitTime(maxWaitMs);
        _spunEvents = 0;
        if (waitMs != 0)
        {
            waitMs = SpinBeforeSleep(waitMs);
        }

        var count = _spunEvents > 0 ? _spunEvents : Libc.EpollWait(_epoll, _events, EventsPerTurn, waitMs);
        if (waitMs != 0 || _spunEvents > 0)
        {
            NotePause();
        }

        // 2. One clock for the whole turn.
        SetClock(ReadClockNs());
        Invariant.That(count >= 0 || count == -Libc.EINTR, "epoll_wait only fails when a signal interrupts it");

        // 3. Events become flags.
        NoteAll(count);
        if (count > 0 && IsTimerDue)
        {
            // The loop may not have run for a while. What came in the meantime came before its deadline.
            DispatchReady();
            NoteAll(Libc.EpollWait(_epoll, _events, EventsPerTurn, 0));
            DispatchReady();
        }

        // 4. Timers and posted work.
        Timers.Advance(NowMs);
        RunPosted();

        // 5. Ready peers.
        FeedStarved();
        DispatchReady();
    }

    public override void Connect(Peer peer, Endpoint endpoint)
    {
        Invariant.That(peer.State.Flags == PeerFlags.None, "a peer connects once");
        var fd = Libc.Socket(SocketAddress.FamilyOf(endpoint));
        if (fd < 0)
        {
            peer.State.Handle = -1;
            peer.State.Flags = PeerFlags.Attached;
            OpenPeers++;
            CompleteConnect(peer, fd);
            return;
        }

        Attach(peer, fd, PeerFlags.None);
        Span<byte> address = stackalloc byte[SocketAddress.MaxLength];
        var length = SocketAddress.Write(endpoint, address);
        if (!endpoint.IsUnix)
        {
            Libc.SetOption(fd, Libc.IPPROTO_TCP, Libc.TCP_NODELAY, 1);
            if (CongestionControl.IsChosenFor(endpoint))
            {
                CongestionControl.SetLoopback(fd);
            }
        }

        var result = Libc.Connect(fd, address[..length]);
        if (result == -IoError.InProgress)
        {
            peer.State.Flags |= PeerFlags.Connecting;
            result = Register(peer);
            if (result < 0)
            {
                CompleteConnect(peer, result);
            }

            return;
        }

        // A unix socket connects, or is refused, at once.
        CompleteConnect(peer, result < 0 ? result : Register(peer));
    }

    public override void ShutdownSend(Peer peer)
    {
        Invariant.That(peer.IsOpen && !peer.IsSending, "the sending side ends after its last send");
        if ((peer.State.Flags & PeerFlags.SendSideShut) == 0)
        {
            peer.State.Flags |= PeerFlags.SendSideShut;
            Libc.Shutdown(peer.State.Handle, Libc.SHUT_WR);
        }
    }

    public override void Close(Peer peer, bool reset = false)
    {
        ref var state = ref peer.State;
        Invariant.That((state.Flags & PeerFlags.Attached) != 0, "only an attached peer is closed");
        state.Flags |= reset ? PeerFlags.CloseRequested | PeerFlags.ResetOnClose : PeerFlags.CloseRequested;
        Timers.Cancel(peer);
        GiveUpMoves(peer);
        MarkReady(peer);
    }

    public override void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        CloseListeners();
        foreach (var peer in _peers)
        {
            if (peer is not null)
            {
                Libc.Close(peer.State.Handle);
            }
        }

        DisposeMoves();
        Libc.Close(_wake);
        Libc.Close(_epoll);
        NativeMemory.Free(_events);
    }

    /// <summary>What is found stays in the array for the turn.</summary>
    private protected override bool HasEvent() => (_spunEvents = Math.Max(0, Libc.EpollWait(_epoll, _events, EventsPerTurn, 0))) > 0;

    protected override void Wake()
    {
        // The descriptor is edge-triggered and never read: each write is an edge, and the count cannot overflow.
        var one = 1UL;
        Libc.Write(_wake, (byte*)&one, sizeof(ulong));
    }

    private int WaitTime(int maxWaitMs)
    {
        // A buffer may have come back after this turn's starved peers were looked at, and no event will tell of that.
        if (HasReady || HasPosted || (_starved.Count > 0 && Buffers.HasForReceive))
        {
            return 0;
        }

        var timer = Timers.MillisecondsToNext(NowMs);
        return timer < 0 ? maxWaitMs : maxWaitMs < 0 ? timer : Math.Min(timer, maxWaitMs);
    }

    private void NoteAll(int count)
    {
        for (var i = 0; i < count; i++)
        {
            Note(EpollEvents.EventsAt(_events, i), EpollEvents.DataAt(_events, i));
        }
    }

    private void Note(uint events, ulong data)
    {
        if ((data & ListenerTag) != 0)
        {
            // A listener may have been stopped in this turn, before epoll's report of it is looked at.
            if (data != WakeTag && _listeners[(int)(data & 0xFFFF_FFFF)] is { } listener)
            {
                AcceptWaiting(listener, AcceptsPerTurn);
            }

            return;
        }

        var fd = (int)(data & 0xFFFF_FFFF);
        var peer = _peers[fd];
        if (peer is null || peer.State.Generation != (uint)(data >> 32))
        {
            return;
        }

        ref var state = ref peer.State;
        if ((state.Flags & PeerFlags.Connecting) != 0)
        {
            if ((events & (Libc.EPOLLOUT | Libc.EPOLLERR | Libc.EPOLLHUP)) == 0)
            {
                return;
            }

            CompleteConnect(peer, -Libc.GetPendingError(fd));
        }

        if ((events & (Libc.EPOLLIN | Libc.EPOLLRDHUP | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0)
        {
            state.Flags |= PeerFlags.Readable;
            if ((events & (Libc.EPOLLRDHUP | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0)
            {
                state.Flags |= PeerFlags.ReadEnding;
            }
        }

        if ((events & (Libc.EPOLLOUT | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0)
        {
            state.Flags |= PeerFlags.Writable;
        }

        if ((state.Flags & (PeerFlags.ReceiveArmed | PeerFlags.SendOutstanding | PeerFlags.ConnectCompleted)) != 0)
        {
            MarkReady(peer);
        }
    }

    private void FinishClose(Peer peer)
    {
        ref var state = ref peer.State;
        if ((state.Flags & PeerFlags.Starved) != 0)
        {
            _starved.Remove(peer);
        }

        if (state.SendBuffer is { } unsent)
        {
            state.SendBuffer = null;
            unsent.Release();
        }

        if (state.Handle >= 0)
        {
            _peers[state.Handle] = null;
            if ((state.Flags & PeerFlags.ResetOnClose) != 0)
            {
                Libc.SetResetOnClose(state.Handle);
            }

            Libc.Close(state.Handle);
        }

        OpenPeers--;
        state = default;
        state.Handle = -1;
        peer.OnClosed();
    }

    private void Attach(Peer peer, int fd, PeerFlags flags)
    {
        Invariant.That(peer.State.Flags == PeerFlags.None, "a peer is attached once");
        if (fd >= _peers.Length)
        {
            var size = Math.Max(fd + 1, _peers.Length * 2);
            Array.Resize(ref _peers, size);
            Array.Resize(ref _generations, size);
        }

        Invariant.That(_peers[fd] is null, "a descriptor belongs to one peer");
        _peers[fd] = peer;
        peer.State.Handle = fd;
        peer.State.Generation = ++_generations[fd] & 0x7FFF_FFFF;
        peer.State.Flags = PeerFlags.Attached | flags;
        OpenPeers++;
    }

    private int Register(Peer peer) => Libc.EpollAdd(_epoll, peer.State.Handle, AllEvents, TagOf(peer));

    private static ulong TagOf(Peer peer) => ((ulong)peer.State.Generation << 32) | (uint)peer.State.Handle;

    private void CompleteConnect(Peer peer, int result)
    {
        peer.State.Flags &= ~PeerFlags.Connecting;
        peer.State.Flags |= result < 0 ? PeerFlags.ConnectCompleted : PeerFlags.ConnectCompleted | PeerFlags.Writable;
        peer.State.SendResult = Math.Min(result, 0);
        MarkReady(peer);
    }
}
