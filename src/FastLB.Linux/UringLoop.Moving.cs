using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// Moving on io_uring: the ring's own splice goes to a kernel thread (2.3 against 0.9 us), so splice(2) is called on descriptors of the
/// process's that stand for the two sockets while the move lasts, and the ring tells when one that was not ready is.
/// </summary>
public sealed unsafe partial class UringLoop
{
    /// <summary>Only between receives: one that is with the kernel, or was held, would take bytes out of the stream's middle.</summary>
    public override bool CanMove(Peer source, Peer target) =>
        base.CanMove(source, target) && source.State.LastHeld is null
        && (source.State.Flags & (PeerFlags.ReceiveSubmitted | PeerFlags.ReceiveEnded)) == 0;

    private protected override void OpenMove(Movement move)
    {
        // Both are tried at once, and what is not ready says so.
        move.Source!.State.Flags |= PeerFlags.Readable;
        move.Target!.State.Flags |= PeerFlags.Writable;
        move.SourceDescriptor = InstallDescriptor(move.Source);
        move.TargetDescriptor = InstallDescriptor(move.Target);
        Libc.SetNonBlocking(move.SourceDescriptor);
        Libc.SetNonBlocking(move.TargetDescriptor);
    }

    private protected override void CloseMove(Movement move)
    {
        Libc.Close(move.SourceDescriptor);
        Libc.Close(move.TargetDescriptor);
    }

    private protected override void AwaitMove(Movement move)
    {
        if (move.Held > 0)
        {
            Poll(move.Target!, Kind.Writable, PeerFlags.WritePollSubmitted, Libc.EPOLLOUT);
        }
        else
        {
            Poll(move.Source!, Kind.Readable, PeerFlags.ReadPollSubmitted, Libc.EPOLLIN | Libc.EPOLLRDHUP);
        }
    }

    private protected override int OpenJoined(Peer peer) => InstallDescriptor(peer);

    private protected override void CloseJoined(int descriptor) => Libc.Close(descriptor);

    private protected override void WatchJoined(Peer peer) => WatchJoinedOn(peer, ended: false);

    private protected override void WatchJoinedOn(Peer peer, bool ended) =>
        Poll(peer, Kind.Readable, PeerFlags.ReadPollSubmitted, ended ? 0 : Libc.EPOLLRDHUP);

    private protected override void UnwatchJoined(Peer peer)
    {
        // Receives and sends are told of by themselves.
    }

    private void Poll(Peer peer, Kind kind, PeerFlags submitted, uint events)
    {
        if ((peer.State.Flags & submitted) == 0)
        {
            peer.State.Flags |= submitted;
            Entry(UringAbi.PollAdd, peer, kind).OperationFlags = events;
        }
    }

    private void CompletePoll(Peer peer, Kind kind)
    {
        ref var state = ref peer.State;
        state.InFlight--;
        if (kind == Kind.Readable)
        {
            state.Flags = (state.Flags & ~PeerFlags.ReadPollSubmitted) | PeerFlags.Readable;
        }
        else
        {
            state.Flags = (state.Flags & ~PeerFlags.WritePollSubmitted) | PeerFlags.Writable;
        }

        if ((state.Flags & (PeerFlags.MoveSource | PeerFlags.MoveTarget)) != 0)
        {
            MarkReady(peer);
        }
    }
}
