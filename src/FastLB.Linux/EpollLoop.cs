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
/// Accepting is in EpollLoop.Accepting.cs. A send is tried inside the submit, because the kernel nearly always takes it; its completion still comes from the turn.
/// </summary>
public sealed unsafe partial class EpollLoop : KernelLoop
{
    private const int EventsPerTurn = 256;

    /// <summary>How often the ready list is gone through before the kernel is asked again; bounds the work of a turn.</summary>
    private const int RoundsPerTurn = 8;

    private const ulong WakeTag = ulong.MaxValue;
    private const ulong ListenerTag = 1UL << 63;

    private readonly int _epoll;
    private readonly int _wake;
    private readonly byte* _events;
    private Peer?[] _peers = new Peer?[1024];
    private uint[] _generations = new uint[1024];
    private Peer? _readyHead;
    private Peer? _readyTail;
    private readonly List<Peer> _starved = [];
    private bool _disposed;

    public EpollLoop(int index, BufferPool buffers, ulong seed)
        : base(index, buffers, seed)
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
        var count = Libc.EpollWait(_epoll, _events, EventsPerTurn, WaitTime(maxWaitMs));

        // 2. One clock for the whole turn.
        NowMs = MonotonicMs();
        Invariant.That(count >= 0 || count == -Libc.EINTR, "epoll_wait only fails when a signal interrupts it");

        // 3. Events become flags.
        for (var i = 0; i < count; i++)
        {
            Note(EpollEvents.EventsAt(_events, i), EpollEvents.DataAt(_events, i));
        }

        // 4. Timers and posted work.
        Timers.Advance(NowMs);
        RunPosted();

        // 5. Ready peers.
        FeedStarved();
        for (var round = 0; round < RoundsPerTurn && _readyHead is not null; round++)
        {
            DispatchRound();
        }
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

    public override void Receive(Peer peer)
    {
        ref var state = ref peer.State;
        Invariant.That(peer.IsOpen, "only an open peer receives");
        Invariant.That((state.Flags & PeerFlags.ReceiveArmed) == 0, "one receive is outstanding per peer");
        state.Flags |= PeerFlags.ReceiveArmed;
        if ((state.Flags & PeerFlags.Readable) != 0)
        {
            MarkReady(peer);
        }
    }

    public override void Send(Peer peer, LoopBuffer buffer, int start, int end)
    {
        ref var state = ref peer.State;
        Invariant.That(peer.IsOpen, "only an open peer sends");
        Invariant.That((state.Flags & PeerFlags.SendOutstanding) == 0, "one send is outstanding per peer");
        Invariant.That(start >= 0 && start < end && end <= buffer.Memory.Length, "a send has bytes and stays in its buffer");
        state.Flags |= PeerFlags.SendOutstanding;
        state.SendBuffer = buffer;
        state.SendOffset = start;
        state.SendEnd = end;
        if (TrySend(peer))
        {
            state.Flags |= PeerFlags.SendCompleted;
            MarkReady(peer);
        }
    }

    public override long SendProgress(Peer peer) => peer.State.SendOffset - (long)Libc.QueuedToSend(peer.State.Handle);

    public override bool HasInput(Peer peer, bool askKernel) =>
        (peer.State.Flags & PeerFlags.Readable) != 0 || (askKernel && Libc.Peek(peer.State.Handle) != -Libc.EAGAIN);

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

        Libc.Close(_wake);
        Libc.Close(_epoll);
        NativeMemory.Free(_events);
    }

    protected override void Wake()
    {
        // The descriptor is edge-triggered and never read: each write is an edge, and the count cannot overflow.
        var one = 1UL;
        Libc.Write(_wake, (byte*)&one, sizeof(ulong));
    }

    private int WaitTime(int maxWaitMs)
    {
        // A buffer may have come back after this turn's starved peers were looked at, and no event will tell of that.
        if (_readyHead is not null || HasPosted || (_starved.Count > 0 && Buffers.HasForReceive))
        {
            return 0;
        }

        var timer = Timers.MillisecondsToNext(NowMs);
        return timer < 0 ? maxWaitMs : maxWaitMs < 0 ? timer : Math.Min(timer, maxWaitMs);
    }

    private void Note(uint events, ulong data)
    {
        if ((data & ListenerTag) != 0)
        {
            if (data != WakeTag)
            {
                AcceptWaiting(_listeners[(int)(data & 0xFFFF_FFFF)], AcceptsPerTurn);
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

    private void DispatchRound()
    {
        var peer = _readyHead;
        _readyHead = null;
        _readyTail = null;
        while (peer is not null)
        {
            var next = peer.State.NextReady;
            peer.State.NextReady = null;
            peer.State.Flags &= ~PeerFlags.InReadyList;
            Dispatch(peer);
            peer = next;
        }
    }

    /// <summary>Hands a peer what completed, in the order connect, send, receive. A callback may close it at any point.</summary>
    private void Dispatch(Peer peer)
    {
        ref var state = ref peer.State;
        if (Take(ref state, PeerFlags.AcceptPending))
        {
            peer.OnAccepted();
        }

        if (Take(ref state, PeerFlags.ConnectCompleted))
        {
            peer.OnConnected(state.SendResult);
        }

        if ((state.Flags & (PeerFlags.SendOutstanding | PeerFlags.CloseRequested)) == PeerFlags.SendOutstanding
            && (Take(ref state, PeerFlags.SendCompleted) || ((state.Flags & PeerFlags.Writable) != 0 && TrySend(peer))))
        {
            state.Flags &= ~PeerFlags.SendOutstanding;
            peer.OnSent(state.SendResult);
        }

        const PeerFlags canReceive = PeerFlags.ReceiveArmed | PeerFlags.Readable;
        if ((state.Flags & (canReceive | PeerFlags.CloseRequested | PeerFlags.Starved)) == canReceive)
        {
            TryReceive(peer);
        }

        // The ready list may hold the peer again (a callback submitted something); then the close is finished from there.
        if ((state.Flags & (PeerFlags.CloseRequested | PeerFlags.InReadyList)) == PeerFlags.CloseRequested)
        {
            FinishClose(peer);
        }
    }

    private static bool Take(ref PeerState state, PeerFlags flag)
    {
        if ((state.Flags & (flag | PeerFlags.CloseRequested)) != flag)
        {
            return false;
        }

        state.Flags &= ~flag;
        return true;
    }

    /// <summary>Sends what the kernel takes. True when the send is over; its result is then in the state.</summary>
    private static bool TrySend(Peer peer)
    {
        ref var state = ref peer.State;
        var buffer = state.SendBuffer!;
        while ((state.Flags & PeerFlags.Writable) != 0)
        {
            var sent = Libc.Send(state.Handle, Address(buffer) + state.SendOffset, state.SendEnd - state.SendOffset);
            if (sent >= 0)
            {
                state.SendOffset += (int)sent;
                if (state.SendOffset < state.SendEnd)
                {
                    continue;
                }

                state.SendResult = 0;
            }
            else if (sent == -Libc.EAGAIN)
            {
                state.Flags &= ~PeerFlags.Writable;
                return false;
            }
            else if (sent == -Libc.EINTR)
            {
                continue;
            }
            else
            {
                state.SendResult = (int)sent;
            }

            state.SendBuffer = null;
            buffer.Release();
            return true;
        }

        return false;
    }

    private void TryReceive(Peer peer)
    {
        ref var state = ref peer.State;
        var buffer = Buffers.TryRentForReceive();
        if (buffer is null)
        {
            state.Flags |= PeerFlags.Starved;
            _starved.Add(peer);
            return;
        }

        nint received;
        do
        {
            received = Libc.Receive(state.Handle, Address(buffer) + LoopBuffer.DataOffset, buffer.DataCapacity);
        }
        while (received == -Libc.EINTR);

        if (received > 0)
        {
            // A short read emptied the socket, so the call that would only say EAGAIN is saved. Not when the end of the
            // stream was already announced: that edge does not come twice.
            if (received < buffer.DataCapacity && (state.Flags & PeerFlags.ReadEnding) == 0)
            {
                state.Flags &= ~PeerFlags.Readable;
            }

            state.Flags &= ~PeerFlags.ReceiveArmed;
            peer.OnReceived(buffer, (int)received);
            return;
        }

        buffer.Release();
        if (received == -Libc.EAGAIN)
        {
            state.Flags &= ~PeerFlags.Readable;
            return;
        }

        state.Flags &= ~PeerFlags.ReceiveArmed;
        peer.OnReceived(null, (int)received);
    }

    /// <summary>Receivers that found the pool empty try again once a buffer came back.</summary>
    private void FeedStarved()
    {
        if (_starved.Count == 0 || !Buffers.HasForReceive)
        {
            return;
        }

        foreach (var peer in _starved)
        {
            peer.State.Flags &= ~PeerFlags.Starved;
            MarkReady(peer);
        }

        _starved.Clear();
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

    private int Register(Peer peer) => Libc.EpollAdd(
        _epoll,
        peer.State.Handle,
        Libc.EPOLLIN | Libc.EPOLLOUT | Libc.EPOLLRDHUP | Libc.EPOLLET,
        ((ulong)peer.State.Generation << 32) | (uint)peer.State.Handle);

    private void CompleteConnect(Peer peer, int result)
    {
        peer.State.Flags &= ~PeerFlags.Connecting;
        peer.State.Flags |= result < 0 ? PeerFlags.ConnectCompleted : PeerFlags.ConnectCompleted | PeerFlags.Writable;
        peer.State.SendResult = Math.Min(result, 0);
        MarkReady(peer);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void MarkReady(Peer peer)
    {
        if ((peer.State.Flags & PeerFlags.InReadyList) != 0)
        {
            return;
        }

        peer.State.Flags |= PeerFlags.InReadyList;
        if (_readyTail is null)
        {
            _readyHead = peer;
        }
        else
        {
            _readyTail.State.NextReady = peer;
        }

        _readyTail = peer;
    }

    /// <summary>Buffers are allocated pinned, so their address holds as long as they do.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* Address(LoopBuffer buffer) =>
        (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(buffer.Memory));
}
