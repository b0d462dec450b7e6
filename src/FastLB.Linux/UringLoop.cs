using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The loop on io_uring. Sockets are direct descriptors, which exist in the ring alone: numbers below <see cref="_acceptCapacity"/> are
/// given out by the kernel as it accepts, those above by the loop as it connects, so that clients cannot take what workers need. What is
/// submitted in a turn goes to the kernel in the one call that also waits. A turn:
/// <list type="number">
/// <item>submit everything, sleep until something is completed, not at all while peers are ready;</item>
/// <item>read the clock, once;</item>
/// <item>act on completions, most of which are callbacks at once, a bounded number of them;</item>
/// <item>call the timers that are due and the work that other threads posted;</item>
/// <item>dispatch the ready peers: what had to wait for a turn, and closings.</item>
/// </list>
/// Receiving, accepting, connecting and closing have files of their own. Every operation of a peer is counted until its completion,
/// and the descriptor is closed when none is left, because one that is late would act on the next peer in the same place.
/// </summary>
public sealed unsafe partial class UringLoop : KernelLoop
{
    private const int CompletionsPerTurn = 1024;

    /// <summary>More descriptors than this are no use to one loop, and the table costs memory.</summary>
    private const int MaxDescriptors = 256 * 1024;

    private readonly Ring _ring;
    private readonly int _wake;
    private readonly int _acceptCapacity;
    private readonly Peer?[] _peers;
    private readonly uint[] _generations;
    private readonly byte* _constants;

    /// <summary>Completions that were taken out of the queue while an answer was awaited in the middle of a turn.</summary>
    private readonly Queue<Completion> _early = new();

    private uint _asked;
    private bool _enabled;
    private bool _disposed;

    private UringLoop(int index, BufferPool buffers, ulong seed, Ring ring, int descriptors, int wake)
        : base(index, buffers, seed, LimitPipes())
    {
        _ring = ring;
        _wake = wake;
        _acceptCapacity = descriptors / 4 * 3;
        _peers = new Peer?[descriptors];
        _generations = new uint[descriptors];
        _ownSlots = new Stack<int>(descriptors - _acceptCapacity);
        for (var slot = descriptors - 1; slot >= _acceptCapacity; slot--)
        {
            _ownSlots.Push(slot);
        }

        _constants = Libc.MapMemory(ConstantsLength);
        *(int*)(_constants + OneOffset) = 1;
        *(int*)(_constants + LingerOffset) = 1;
        CongestionControl.LoopbackName.CopyTo(new Span<byte>(_constants + CongestionControlOffset, CongestionControl.MaxNameBytes));
        _addressLength = (nint)descriptors * SocketAddress.MaxIpLength;
        _addresses = Libc.MapMemory(_addressLength);
    }

    public override string EngineName => "io_uring";

    /// <summary>Opens a loop. 0, or -errno with the step that failed, and nothing is left behind.</summary>
    public static int TryOpen(int index, BufferPool buffers, ulong seed, SpinPolicy spin, out UringLoop? loop, out string step) =>
        TryOpen(index, buffers, seed, spin, new UringSizes(), out loop, out step);

    internal static int TryOpen(
        int index, BufferPool buffers, ulong seed, SpinPolicy spin, UringSizes sizes, out UringLoop? loop, out string step)
    {
        loop = null;
        step = "io_uring_setup";
        var result = Ring.TryOpen(sizes.Submissions, sizes.Completions, out var ring);
        if (result < 0)
        {
            return result;
        }

        step = "what io_uring has since Linux 6.11";
        if (!ring!.Knows(UringAbi.Bind))
        {
            ring.Dispose();
            return -Libc.EINVAL;
        }

        // The table of direct descriptors may not be larger than RLIMIT_NOFILE (io_uring_register(2)).
        var limit = Math.Min(sizes.Descriptors, Libc.DescriptorLimit() is > 0 and < MaxDescriptors and var allowed ? (int)allowed : MaxDescriptors);
        step = "the table of direct descriptors";
        var files = new ResourceRegister { Count = (uint)limit, Flags = UringAbi.ResourceSparse };
        result = ring.Register(UringAbi.RegisterFiles2, &files, (uint)sizeof(ResourceRegister));
        if (result >= 0)
        {
            var range = new FileIndexRange { Length = (uint)(limit / 4 * 3) };
            result = ring.Register(UringAbi.RegisterFileAllocationRange, &range, 0);
        }

        var wake = result < 0 ? result : Libc.EventDescriptor();
        if (wake < 0)
        {
            ring.Dispose();
            return wake;
        }

        var made = new UringLoop(index, buffers, seed, ring, limit, wake) { Spin = spin };
        step = "the rings of receive buffers";
        result = ReceiveBuffers.TryRegister(ring, buffers, large: false, sizes.SmallBuffers, 0, out made._smallBuffers);
        if (result >= 0)
        {
            result = ReceiveBuffers.TryRegister(ring, buffers, large: true, sizes.LargeBuffers, (ushort)sizes.SmallBuffers, out made._largeBuffers);
        }

        if (result < 0)
        {
            made.Dispose();
            return result;
        }

        step = "";
        loop = made;
        return 0;
    }

    public override void RunTurn(int maxWaitMs = -1)
    {
        Begin();

        // 1. Submit, and sleep until something happens.
        var waitMs = WaitTime(maxWaitMs);
        if (waitMs != 0 && Spin.ShouldSpin)
        {
            Enter(0, 0);
            waitMs = _ring.HasCompletion ? 0 : WaitTime(maxWaitMs);
        }

        if (waitMs != 0)
        {
            Enter((waitMs = SpinBeforeSleep(waitMs)) == 0 ? 0u : 1u, waitMs);
            NotePause();
        }
        else
        {
            Enter(0, 0);
        }

        // 2. One clock for the whole turn.
        SetClock(ReadClockNs());

        // 3. Completions.
        var completed = CompleteSome();
        if (completed > 0 && IsTimerDue)
        {
            // The loop may not have run for a while. What came in the meantime came before its deadline.
            Enter(0, 0);
            CompleteSome();
        }

        // 4. Timers and posted work.
        Timers.Advance(NowMs);
        RunPosted();

        // 5. Ready peers.
        FeedReceivers();
        DispatchReady();
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
        SubmitSend(peer, 0);
    }

    public override long SendProgress(Peer peer) =>
        ((peer.State.Flags & PeerFlags.MoveTarget) != 0 ? MovedTo(peer) : peer.State.SendOffset) - QueuedToSend(peer);

    public override void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (_enabled)
        {
            // What is in flight is cancelled before its memory goes.
            Entry(UringAbi.AsyncCancel, TagOf(Kind.Ignored, 0)).OperationFlags = UringAbi.CancelAny | UringAbi.CancelAll;
            for (var i = 0; i < 3; i++)
            {
                _ring.Enter(0, 0);
            }

            _ring.Register(UringAbi.RegisterUnregisterFiles, null, 0);
        }

        CloseListeners();
        DisposeMoves();
        _ring.Dispose();
        _smallBuffers?.Dispose();
        _largeBuffers?.Dispose();
        Libc.Unmap(_constants, ConstantsLength);
        Libc.Unmap(_addresses, _addressLength);
        Libc.Close(_wake);
    }

    private protected override bool HasEvent() => _ring.HasWork;

    protected override void Wake()
    {
        var one = 1UL;
        Libc.Write(_wake, (byte*)&one, sizeof(ulong));
    }

    /// <summary>The first turn: the ring becomes this thread's.</summary>
    private void Begin()
    {
        if (_enabled)
        {
            return;
        }

        Demand(_ring.Enable(), "IORING_REGISTER_ENABLE_RINGS");
        _enabled = true;
        WatchWake();
        _smallBuffers!.Refill();
    }

    /// <summary>The descriptor is never read: each write to it is an event, and the count cannot overflow.</summary>
    private void WatchWake()
    {
        ref var entry = ref Entry(UringAbi.PollAdd, TagOf(Kind.Wake, 0));
        entry.Descriptor = _wake;
        entry.OperationFlags = Libc.EPOLLIN | Libc.EPOLLET;
        entry.Length = UringAbi.PollMultishot;
    }

    private int WaitTime(int maxWaitMs)
    {
        // A buffer may have come back after this turn's starved peers were looked at, and no completion will tell of that.
        if (HasReady || HasPosted || _early.Count > 0 || (_starved.Count > 0 && (Buffers.CanLend(false) || Buffers.CanLend(true))))
        {
            return 0;
        }

        var timer = Timers.MillisecondsToNext(NowMs);
        return timer < 0 ? maxWaitMs : maxWaitMs < 0 ? timer : Math.Min(timer, maxWaitMs);
    }

    /// <summary>-EBUSY and -EAGAIN say that the kernel wants completions taken first, which the turn does; the rest stays queued.</summary>
    private void Enter(uint complete, int timeoutMs)
    {
        var result = _ring.Enter(complete, timeoutMs);
        Invariant.That(
            result >= 0 || result is -Libc.EINTR or -Libc.ETIME or -Libc.EAGAIN or -Libc.EBUSY,
            "io_uring_enter only fails when a signal, the time or a full completion queue ends it");
    }

    private int CompleteSome()
    {
        var count = 0;
        while (count < CompletionsPerTurn && TryNext(out var completion))
        {
            Complete(completion);
            count++;
        }

        return count;
    }

    private bool TryNext(out Completion completion) => _early.TryDequeue(out completion) || _ring.TryTake(out completion);

    private void Complete(in Completion completion)
    {
        var kind = KindOf(completion.UserData);
        var slot = SlotOf(completion.UserData);
        switch (kind)
        {
            case Kind.Ignored:
                return;
            case Kind.Wake:
                if (!completion.HasMore)
                {
                    WatchWake();
                }

                return;
            case Kind.Accept:
                CompleteAccept(completion);
                return;
            case Kind.PeerName:
                CompletePeerName(completion);
                return;
        }

        var peer = _peers[slot];
        Invariant.That(peer is not null && (peer.State.Generation & TagGenerationMask) == GenerationOf(completion.UserData),
            "a peer stays until its last operation has completed");
        switch (kind)
        {
            case Kind.Receive:
                CompleteReceive(peer, completion);
                break;
            case Kind.Send:
                CompleteSend(peer, completion.Result);
                break;
            case Kind.Socket:
            case Kind.Connect:
                CompleteConnect(peer, kind, completion.Result);
                break;
            case Kind.Part:
                peer.State.InFlight--;
                break;
            case Kind.Close:
                FinishClose(peer);
                return;
            case Kind.Readable:
            case Kind.Writable:
                CompletePoll(peer, kind);
                break;
        }

        if ((peer.State.Flags & PeerFlags.CloseRequested) != 0)
        {
            // The last completion of a closing peer, or a close that was asked for in a callback just now.
            MarkReady(peer);
        }
    }

    private void CompleteSend(Peer peer, int result)
    {
        ref var state = ref peer.State;
        state.InFlight--;
        var buffer = state.SendBuffer!;
        if ((state.Flags & PeerFlags.CloseRequested) != 0)
        {
            state.SendBuffer = null;
            buffer.Release();
            return;
        }

        state.SendOffset += Math.Max(0, result);
        if ((result >= 0 && state.SendOffset < state.SendEnd) || result is -Libc.EAGAIN or -Libc.EINTR)
        {
            // The socket is full, so the rest begins by waiting for it.
            SubmitSend(peer, UringAbi.PollFirst);
            return;
        }

        state.SendBuffer = null;
        buffer.Release();
        state.Flags &= ~PeerFlags.SendOutstanding;
        peer.OnSent(Math.Min(0, result));
    }

    private void SubmitSend(Peer peer, ushort priority)
    {
        ref var state = ref peer.State;
        ref var entry = ref Entry(UringAbi.Send, peer, Kind.Send);
        entry.Address = (ulong)Address(state.SendBuffer!) + (uint)state.SendOffset;
        entry.Length = (uint)(state.SendEnd - state.SendOffset);
        entry.OperationFlags = Libc.MSG_NOSIGNAL;
        entry.Priority = priority;
    }

    /// <summary>Hands a peer what could not be handed to it inside the submit. A callback may close it at any point.</summary>
    private protected override void Dispatch(Peer peer)
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

        DeliverHeld(peer);
        if ((state.Flags & (PeerFlags.MoveSource | PeerFlags.MoveTarget)) != 0)
        {
            StepMoves(peer);
        }

        // The ready list may hold the peer again (a callback submitted something); then the close goes on from there.
        if ((state.Flags & (PeerFlags.CloseRequested | PeerFlags.InReadyList)) == PeerFlags.CloseRequested)
        {
            ContinueClose(peer);
        }
    }

    /// <summary>An entry of the queue that concerns no peer's descriptor, which the caller completes.</summary>
    private ref SubmissionEntry Entry(byte operation, ulong tag)
    {
        MakeRoom(1);
        ref var entry = ref _ring.Next();
        entry.Opcode = operation;
        entry.UserData = tag;
        return ref entry;
    }

    /// <summary>An operation on a peer's descriptor; it is in flight from now on.</summary>
    private ref SubmissionEntry Entry(byte operation, Peer peer, Kind kind)
    {
        ref var state = ref peer.State;
        state.InFlight++;
        ref var entry = ref Entry(operation, TagOf(kind, state.Handle, state.Generation));
        entry.Descriptor = state.Handle;
        entry.Flags = UringAbi.FixedFile;
        return ref entry;
    }

    /// <summary>A full queue is submitted; while the kernel refuses that, completions are put aside to make it room.</summary>
    private void MakeRoom(uint count)
    {
        while (_ring.Room < count)
        {
            Invariant.That(_enabled, "what is submitted before the first turn fits into the queue");
            Enter(0, 0);
            TakeEarly();
        }
    }

    private void TakeEarly()
    {
        while (_ring.TryTake(out var completion))
        {
            _early.Enqueue(completion);
        }
    }

    /// <summary>Submits an entry that the kernel completes at once and takes its completion out of the others. Its result.</summary>
    private int Ask(ref SubmissionEntry entry)
    {
        Begin();
        var tag = TagOf(Kind.Ignored, 0, ++_asked & TagGenerationMask) | AskedBit;
        entry.UserData = tag;
        while (true)
        {
            Enter(0, 0);
            while (_ring.TryTake(out var completion))
            {
                if (completion.UserData == tag)
                {
                    return completion.Result;
                }

                _early.Enqueue(completion);
            }
        }
    }

    /// <summary>Whether the kernel has taken a send and not the other side; 0 where that cannot be told. Linux 6.7.</summary>
    private int QueuedToSend(Peer peer)
    {
        ref var entry = ref Entry(UringAbi.Command, 0);
        entry.Descriptor = peer.State.Handle;
        entry.Flags = UringAbi.FixedFile;
        entry.CommandOperation = UringAbi.SocketQueuedToSend;
        return Math.Max(0, Ask(ref entry));
    }

    private void Attach(Peer peer, int slot, PeerFlags flags)
    {
        Invariant.That(peer.State.Flags == PeerFlags.None, "a peer is attached once");
        Invariant.That(_peers[slot] is null, "a descriptor belongs to one peer");
        _peers[slot] = peer;
        peer.State.Handle = slot;
        peer.State.Generation = ++_generations[slot];
        peer.State.Flags = PeerFlags.Attached | flags;
        OpenPeers++;
    }

    /// <summary>Buffers are allocated pinned, so their address holds as long as they do.</summary>
    private static byte* Address(LoopBuffer buffer) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(buffer.Memory));

    // What an operation is called by: its kind in the highest byte, 24 bits of its peer's generation, and the descriptor's number.
    private enum Kind : byte
    {
        Ignored,
        Wake,
        Accept,
        PeerName,
        Receive,
        Send,
        Socket,
        Connect,
        Part,
        Close,
        Readable,
        Writable,
    }

    private const uint TagGenerationMask = 0x00FF_FFFF;
    private const ulong AskedBit = 1UL << 31;

    private static ulong TagOf(Kind kind, int slot, uint generation = 0) =>
        ((ulong)kind << 56) | ((ulong)(generation & TagGenerationMask) << 32) | (uint)slot;

    private static Kind KindOf(ulong tag) => (Kind)(tag >> 56);

    private static uint GenerationOf(ulong tag) => (uint)(tag >> 32) & TagGenerationMask;

    private static int SlotOf(ulong tag) => (int)(tag & 0x7FFF_FFFF);
}

/// <summary>How large a loop's rings are. Tests make them small, to see what happens when they are full.</summary>
internal readonly record struct UringSizes(uint Submissions, uint Completions, int SmallBuffers, int LargeBuffers, int Descriptors)
{
    public UringSizes()
        : this(512, 4096, 256, 32, int.MaxValue)
    {
    }
}
