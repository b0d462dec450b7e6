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
/// Opening, submitting, sending, receiving, accepting, connecting and closing have files of their own. Every operation of a peer is counted until its completion,
/// and the descriptor is closed when none is left, because one that is late would act on the next peer in the same place.
/// </summary>
public sealed unsafe partial class UringLoop : KernelLoop
{
    private const int CompletionsPerTurn = 1024;

    private readonly Ring _ring;
    private readonly int _wake;
    private readonly int _acceptCapacity;
    private readonly Peer?[] _peers;
    private readonly uint[] _generations;
    private readonly byte* _constants;

    public override string EngineName => "io_uring";

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

    private protected override bool HasEvent() => _ring.HasWork;

    protected override void Wake()
    {
        var one = 1UL;
        Libc.Write(_wake, (byte*)&one, sizeof(ulong));
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
}
