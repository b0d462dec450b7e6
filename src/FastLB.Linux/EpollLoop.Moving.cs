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
}
