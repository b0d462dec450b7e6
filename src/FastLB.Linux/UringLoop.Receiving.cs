using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// How the loop receives. One multishot receive stays with a peer, and most of the time asking for the next bytes submits nothing. What
/// comes before the peer asks is held for it, in order, and when that is more than <see cref="HeldLimit"/> buffers the receive is
/// cancelled until the peer has caught up. A peer that fills the small buffers gets large ones, one receive at a time, so that bodies
/// move in large pieces and wait in the socket, not here, until it goes back to small messages.
/// </summary>
public sealed unsafe partial class UringLoop
{
    /// <summary>
    /// What one slow peer may hold before its receive is cancelled. Until the kernel sees that it may fill what lies in the ring of small
    /// buffers, so a peer never holds more than one ring and this; the next receives of such a peer are single ones.
    /// </summary>
    private const int HeldLimit = 4;

    /// <summary>So many receives in a row that a small buffer would have taken end a peer's use of large ones.</summary>
    private const int SmallReceivesToReturn = 16;

    private readonly List<Peer> _starved = [];
    private ReceiveBuffers? _smallBuffers;
    private ReceiveBuffers? _largeBuffers;

    public override void Receive(Peer peer)
    {
        ref var state = ref peer.State;
        Invariant.That(peer.IsOpen, "only an open peer receives");
        Invariant.That((state.Flags & PeerFlags.ReceiveArmed) == 0, "one receive is outstanding per peer");
        state.Flags |= PeerFlags.ReceiveArmed;
        if (state.LastHeld is not null || (state.Flags & PeerFlags.ReceiveEnded) != 0)
        {
            MarkReady(peer);
        }
        else if ((state.Flags & (PeerFlags.ReceiveSubmitted | PeerFlags.Starved)) == 0)
        {
            SubmitReceive(peer);
        }
    }

    public override bool HasInput(Peer peer, bool askKernel)
    {
        ref var state = ref peer.State;
        if (state.LastHeld is not null || (state.Flags & PeerFlags.ReceiveEnded) != 0)
        {
            return true;
        }

        if (!askKernel)
        {
            return false;
        }

        // What the kernel knows becomes completions, among which the peer's are looked for.
        Enter(0, 0);
        TakeEarly();
        var tag = TagOf(Kind.Receive, state.Handle, state.Generation);
        foreach (var completion in _early)
        {
            if (completion.UserData == tag)
            {
                return true;
            }
        }

        return false;
    }

    private void SubmitReceive(Peer peer)
    {
        ref var state = ref peer.State;
        var large = (state.Flags & PeerFlags.ReceivesLarge) != 0;
        state.Flags |= PeerFlags.ReceiveSubmitted;
        state.Flags &= ~PeerFlags.ReceiveCanceled;
        if (large && _largeBuffers!.IsDry)
        {
            _largeBuffers.Refill();
        }

        ref var entry = ref Entry(UringAbi.Receive, peer, Kind.Receive);
        entry.Flags |= UringAbi.BufferSelect;
        entry.BufferGroup = (large ? _largeBuffers : _smallBuffers)!.Group;
        entry.Priority = large ? (ushort)0 : UringAbi.ReceiveMultishot;
    }

    private void CompleteReceive(Peer peer, in Completion completion)
    {
        ref var state = ref peer.State;
        var buffer = TakeBuffer(completion);
        if (!completion.HasMore)
        {
            state.InFlight--;
            state.Flags &= ~PeerFlags.ReceiveSubmitted;
        }

        if ((state.Flags & PeerFlags.CloseRequested) != 0)
        {
            buffer?.Release();
            return;
        }

        var result = completion.Result;
        if (result > 0)
        {
            ChooseSize(ref state, result);
            if (completion.HasMore)
            {
                CancelWhenTooMuch(peer);
            }

            Deliver(peer, buffer!, result);
            return;
        }

        buffer?.Release();
        switch (result)
        {
            case -IoError.NoBuffers:
                Starve(peer);
                break;
            case -Libc.ECANCELED or -Libc.EAGAIN or -Libc.EINTR:
                Resume(peer);
                break;
            default:
                state.ReceiveEnd = result;
                state.Flags |= PeerFlags.ReceiveEnded;
                DeliverHeld(peer);
                break;
        }
    }

    private LoopBuffer? TakeBuffer(in Completion completion)
    {
        if ((completion.Flags & UringAbi.CompletionHasBuffer) == 0)
        {
            return null;
        }

        var id = (int)(completion.Flags >> UringAbi.CompletionBufferShift);
        var set = _smallBuffers!.Owns(id) ? _smallBuffers : _largeBuffers!;
        var buffer = set.Take(id);
        set.Refill();
        return buffer;
    }

    /// <summary>Large messages come into large buffers from the next receive on, small ones into small ones after a while.</summary>
    private static void ChooseSize(ref PeerState state, int length)
    {
        if (length >= BufferPool.SmallCapacity)
        {
            state.SmallReceives = 0;
            state.Flags |= PeerFlags.ReceivesLarge;
        }
        else if ((state.Flags & PeerFlags.ReceivesLarge) != 0 && ++state.SmallReceives >= SmallReceivesToReturn)
        {
            state.Flags &= ~PeerFlags.ReceivesLarge;
        }
    }

    private void Deliver(Peer peer, LoopBuffer buffer, int length)
    {
        ref var state = ref peer.State;
        if ((state.Flags & PeerFlags.ReceiveArmed) != 0 && state.LastHeld is null)
        {
            state.Flags &= ~PeerFlags.ReceiveArmed;
            peer.OnReceived(buffer, length);
        }
        else
        {
            Hold(ref state, buffer, length);
            if ((state.Flags & PeerFlags.ReceiveArmed) != 0)
            {
                MarkReady(peer);
            }
        }
    }

    /// <summary>Whoever fills small buffers, or does not take what comes, is received from one message at a time from now on.</summary>
    private void CancelWhenTooMuch(Peer peer)
    {
        ref var state = ref peer.State;
        if ((state.HeldCount >= HeldLimit || (state.Flags & PeerFlags.ReceivesLarge) != 0) && (state.Flags & PeerFlags.ReceiveCanceled) == 0)
        {
            state.Flags |= PeerFlags.ReceiveCanceled | PeerFlags.ReceivesLarge;
            state.SmallReceives = 0;
            Entry(UringAbi.AsyncCancel, TagOf(Kind.Ignored, 0)).Address = TagOf(Kind.Receive, state.Handle, state.Generation);
        }
    }

    private static void Hold(ref PeerState state, LoopBuffer buffer, int length)
    {
        buffer.HeldLength = length;
        if (state.LastHeld is { } last)
        {
            buffer.NextHeld = last.NextHeld;
            last.NextHeld = buffer;
        }
        else
        {
            buffer.NextHeld = buffer;
        }

        state.LastHeld = buffer;
        state.HeldCount++;
    }

    private static LoopBuffer? TakeHeld(ref PeerState state)
    {
        if (state.LastHeld is not { } last)
        {
            return null;
        }

        var first = last.NextHeld!;
        state.LastHeld = ReferenceEquals(first, last) ? null : last;
        last.NextHeld = first.NextHeld;
        first.NextHeld = null;
        state.HeldCount--;
        return first;
    }

    /// <summary>What was held, or the end, for a peer that has asked.</summary>
    private void DeliverHeld(Peer peer)
    {
        ref var state = ref peer.State;
        if ((state.Flags & (PeerFlags.ReceiveArmed | PeerFlags.MoveSource | PeerFlags.CloseRequested)) != PeerFlags.ReceiveArmed)
        {
            return;
        }

        if (TakeHeld(ref state) is { } buffer)
        {
            state.Flags &= ~PeerFlags.ReceiveArmed;
            peer.OnReceived(buffer, buffer.HeldLength);
        }
        else if ((state.Flags & PeerFlags.ReceiveEnded) != 0)
        {
            state.Flags &= ~PeerFlags.ReceiveArmed;
            peer.OnReceived(null, state.ReceiveEnd);
        }
        else if ((state.Flags & (PeerFlags.ReceiveSubmitted | PeerFlags.Starved)) == 0)
        {
            SubmitReceive(peer);
        }
    }

    private static void ReleaseHeld(ref PeerState state)
    {
        while (TakeHeld(ref state) is { } buffer)
        {
            buffer.Release();
        }
    }

    private void Resume(Peer peer)
    {
        if ((peer.State.Flags & (PeerFlags.ReceiveArmed | PeerFlags.ReceiveSubmitted | PeerFlags.Starved)) == PeerFlags.ReceiveArmed
            && peer.State.LastHeld is null)
        {
            SubmitReceive(peer);
        }
    }

    /// <summary>The kernel had no buffer. A peer that has asked waits for one; another asks when it needs to.</summary>
    private void Starve(Peer peer)
    {
        Buffers.NoteRefusal();
        if ((peer.State.Flags & (PeerFlags.ReceiveArmed | PeerFlags.Starved)) == PeerFlags.ReceiveArmed)
        {
            peer.State.Flags |= PeerFlags.Starved;
            _starved.Add(peer);
        }
    }

    /// <summary>Lends the kernel what has come back, and lets those that found nothing try again, with whichever size there is.</summary>
    private void FeedReceivers()
    {
        if (_starved.Count == 0)
        {
            return;
        }

        var small = _smallBuffers!.Refill();
        var large = _largeBuffers!.Refill();
        if (!small && !large)
        {
            return;
        }

        foreach (var peer in _starved)
        {
            ref var state = ref peer.State;
            state.Flags &= ~PeerFlags.Starved;
            state.Flags = small ? state.Flags & ~PeerFlags.ReceivesLarge : state.Flags | PeerFlags.ReceivesLarge;
            Resume(peer);
        }

        _starved.Clear();
    }
}
