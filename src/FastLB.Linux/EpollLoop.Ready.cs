using System.Runtime.CompilerServices;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The ready list: peers for which something has completed or can be done now, linked through their state, each at most once. A turn
/// goes through it a bounded number of times; who still has something to do after that is in the list of the next turn.
/// </summary>
public sealed unsafe partial class EpollLoop
{
    /// <summary>How often the ready list is gone through before the kernel is asked again; bounds the work of a turn.</summary>
    private const int RoundsPerTurn = 8;

    private Peer? _readyHead;
    private Peer? _readyTail;

    private void DispatchReady()
    {
        for (var round = 0; round < RoundsPerTurn && _readyHead is not null; round++)
        {
            DispatchRound();
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

    /// <summary>Hands a peer what completed, in the order connect, send, receive, move. A callback may close it at any point.</summary>
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

    private static bool Take(ref PeerState state, PeerFlags flag)
    {
        if ((state.Flags & (flag | PeerFlags.CloseRequested)) != flag)
        {
            return false;
        }

        state.Flags &= ~flag;
        return true;
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
}
