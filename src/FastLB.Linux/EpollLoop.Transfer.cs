using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// Sending and receiving through buffers. A send is tried inside the submit, because the kernel nearly always takes it; its completion still
/// comes from the turn. A receive is tried in the turn, into the largest buffer that can be had.
/// </summary>
public sealed unsafe partial class EpollLoop
{
    /// <summary>Peers whose receive found no buffer.</summary>
    private readonly List<Peer> _starved = [];

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
        NoteSend(peer, buffer, start, end);
        if (TrySend(peer))
        {
            peer.State.Flags |= PeerFlags.SendCompleted;
            MarkReady(peer);
        }
    }

    public override long SendProgress(Peer peer) =>
        ((peer.State.Flags & PeerFlags.MoveTarget) != 0 ? MovedTo(peer) : peer.State.SendOffset) - Libc.QueuedToSend(peer.State.Handle);

    public override bool HasInput(Peer peer, bool askKernel) =>
        (peer.State.Flags & PeerFlags.Readable) != 0 || (askKernel && Libc.Peek(peer.State.Handle) != -Libc.EAGAIN);

    /// <summary>Hands a peer what completed, in the order connect, send, receive, move. A callback may close it at any point.</summary>
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

        if ((state.Flags & (PeerFlags.SendOutstanding | PeerFlags.MoveTarget | PeerFlags.CloseRequested)) == PeerFlags.SendOutstanding
            && (Take(ref state, PeerFlags.SendCompleted) || ((state.Flags & PeerFlags.Writable) != 0 && TrySend(peer))))
        {
            state.Flags &= ~PeerFlags.SendOutstanding;
            peer.OnSent(state.SendResult);
        }

        const PeerFlags canReceive = PeerFlags.ReceiveArmed | PeerFlags.Readable;
        if ((state.Flags & (canReceive | PeerFlags.MoveSource | PeerFlags.CloseRequested | PeerFlags.Starved)) == canReceive)
        {
            TryReceive(peer);
        }

        if ((state.Flags & (PeerFlags.MoveSource | PeerFlags.MoveTarget)) != 0)
        {
            StepMoves(peer);
        }

        // The ready list may hold the peer again (a callback submitted something); then the close is finished from there.
        if ((state.Flags & (PeerFlags.CloseRequested | PeerFlags.InReadyList)) == PeerFlags.CloseRequested)
        {
            FinishClose(peer);
        }
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

    /// <summary>Buffers are allocated pinned, so their address holds as long as they do.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* Address(LoopBuffer buffer) =>
        (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(buffer.Memory));
}
