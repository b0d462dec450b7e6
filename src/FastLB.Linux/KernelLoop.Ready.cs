using System.Runtime.CompilerServices;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The ready list: peers for which something has completed or can be done now, linked through their state, each at most once. A turn
/// goes through it a bounded number of times; who still has something to do after that is in the list of the next turn.
/// </summary>
public abstract partial class KernelLoop
{
    /// <summary>How often the ready list is gone through before the kernel is asked again; bounds the work of a turn.</summary>
    private const int RoundsPerTurn = 8;

    private Peer? _readyHead;
    private Peer? _readyTail;

    private protected bool HasReady => _readyHead is not null;

    /// <summary>Hands a peer what completed or can be done. A callback may close it at any point.</summary>
    private protected abstract void Dispatch(Peer peer);

    private protected void DispatchReady()
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

    private protected static bool Take(ref PeerState state, PeerFlags flag)
    {
        if ((state.Flags & (flag | PeerFlags.CloseRequested)) != flag)
        {
            return false;
        }

        state.Flags &= ~flag;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected void MarkReady(Peer peer)
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
