using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>Moving on epoll: sockets have descriptors of the process, and their events come without being asked for.</summary>
public sealed unsafe partial class EpollLoop
{
    private protected override void OpenMove(Movement move)
    {
        move.SourceDescriptor = move.Source!.State.Handle;
        move.TargetDescriptor = move.Target!.State.Handle;
    }

    private protected override void AwaitMove(Movement move)
    {
        // The edge comes by itself.
    }

    private protected override void CloseMove(Movement move)
    {
        // The descriptors are the peers'.
    }

    private protected override int OpenJoined(Peer peer) => peer.State.Handle;

    private protected override void CloseJoined(int descriptor)
    {
        // As above.
    }

    // The kernel wakes whoever waits for input with every piece of data that it passes on, though there is none to be read.
    private protected override void WatchJoined(Peer peer) => Libc.EpollModify(_epoll, peer.State.Handle, Libc.EPOLLRDHUP | Libc.EPOLLET, TagOf(peer));

    private protected override void WatchJoinedOn(Peer peer, bool ended)
    {
        // The edge comes by itself.
    }

    private protected override void UnwatchJoined(Peer peer) => Libc.EpollModify(_epoll, peer.State.Handle, AllEvents, TagOf(peer));
}
