using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>
/// Moving on the simulated kernel: bytes go from socket to socket through a pipe, in pieces and late. At random, and where the contract allows
/// it, no move can be had or one gives way to copying.
/// </summary>
internal sealed partial class SimLoop
{
    private const int PipeBytes = 64 * 1024;

    /// <summary>Apart from the world's own, so that moving changes nothing else in a seed's life.</summary>
    private readonly RandomSource _moveChance = new(seed ^ 0x2545F4914F6CDD1D);

    internal int WorthMoving { get; set; } = int.MaxValue;

    /// <summary>The chance that there is no pipe when somebody asks.</summary>
    internal double RefusesMoves { get; set; }

    /// <summary>The chance, whenever its pipe is empty, that a move gives way to copying.</summary>
    internal double YieldsMoves { get; set; }

    /// <summary>Moves that were begun since the start.</summary>
    internal int MovesBegun { get; private set; }

    public override int WorthMovingBytes => WorthMoving;

    /// <summary>Whether two connections can be joined here.</summary>
    internal bool Joins { get; set; }

    /// <summary>Pairs that were joined since the start.</summary>
    internal int PairsJoined { get; private set; }

    public override bool TryJoin(Peer first, Peer second)
    {
        if (!Joins || (RefusesMoves > 0 && _moveChance.Chance(RefusesMoves)))
        {
            return false;
        }

        PairsJoined++;
        Move(first, second, long.MaxValue);
        Move(second, first, long.MaxValue);
        return true;
    }

    public override bool CanMove(Peer source, Peer target) => RefusesMoves == 0 || !_moveChance.Chance(RefusesMoves);

    public override void Move(Peer source, Peer target, long limit) => Submit(() =>
    {
        Invariant.That(source.IsOpen && target.IsOpen && !ReferenceEquals(source, target), "two open peers take part in a move");
        Invariant.That(!source.IsReceiving, "a move is the one receive of its source");
        Invariant.That(!target.IsSending, "a move is the one send of its target");
        Invariant.That((target.State.Flags & PeerFlags.SendSideShut) == 0, "nothing is sent behind the end of a stream");
        Invariant.That(limit > 0, "a move has bytes to move");
        var movement = new Movement(DescriptorOf(source), DescriptorOf(target), limit);
        movement.Source.MoveFrom = movement;
        movement.Target.MoveTo = movement;
        source.State.Flags |= PeerFlags.ReceiveArmed | PeerFlags.MoveSource;
        target.State.Flags |= PeerFlags.SendOutstanding | PeerFlags.MoveTarget;
        MovesBegun++;
        network.Note();
    });

    public override long Moved(Peer source) => DescriptorOf(source).MoveFrom?.Moved ?? 0;

    public override bool IsMoveAwaitingTarget(Peer source) => DescriptorOf(source).MoveFrom is { Pipe.Count: > 0 };

    public override long SendProgress(Peer peer) => DescriptorOf(peer).MoveTo?.Moved ?? peer.SendPosition;

    private void Step(Movement move)
    {
        if (move.Pipe.Count > 0)
        {
            var written = move.Target.Socket!.Write(move.Pipe.Span[..network.Portion(move.Pipe.Count)]);
            if (written < 0)
            {
                if (written != -IoError.TryAgain)
                {
                    End(move, MoveEnd.TargetFailed, written);
                }

                return;
            }

            move.Pipe.Drop(written);
            move.Moved += written;
            if (move.Pipe.Count > 0)
            {
                return;
            }
        }

        if (move.Remaining == 0)
        {
            End(move, MoveEnd.Complete, 0);
            return;
        }

        if (YieldsMoves > 0 && _moveChance.Chance(YieldsMoves))
        {
            End(move, MoveEnd.Yielded, 0);
            return;
        }

        var socket = move.Source.Socket!;
        if (!socket.IsReadable)
        {
            return;
        }

        var bytes = new byte[(int)Math.Min(move.Remaining, network.Portion(Math.Clamp(socket.Incoming.Arrived.Count, 1, PipeBytes)))];
        var read = socket.Read(bytes);
        if (read <= 0)
        {
            End(move, read == 0 ? MoveEnd.SourceEnded : MoveEnd.SourceFailed, read);
            return;
        }

        move.Pipe.Append(bytes.AsSpan(0, read));
        move.Remaining -= move.Remaining == long.MaxValue ? 0 : read;
    }

    private void End(Movement move, MoveEnd end, int error)
    {
        Discard(move);
        network.Note();
        Call(move.Source, $"moved {move.Moved} and {end}", error);
        move.Source.Peer.OnMoved(new MoveResult(end, move.Moved, error));
    }

    private static void GiveUpMoves(Descriptor descriptor)
    {
        if (descriptor.MoveFrom is { } away)
        {
            Discard(away);
        }

        if (descriptor.MoveTo is { } towards)
        {
            Discard(towards);
        }
    }

    private static void Discard(Movement move)
    {
        move.Source.MoveFrom = null;
        move.Target.MoveTo = null;
        move.Source.Peer.State.Flags &= ~(PeerFlags.ReceiveArmed | PeerFlags.MoveSource);
        move.Target.Peer.State.Flags &= ~(PeerFlags.SendOutstanding | PeerFlags.MoveTarget);
    }

    private sealed class Movement(Descriptor source, Descriptor target, long limit)
    {
        internal Descriptor Source { get; } = source;

        internal Descriptor Target { get; } = target;

        internal long Remaining { get; set; } = limit;

        internal long Moved { get; set; }

        internal ByteQueue Pipe { get; } = new();
    }
}
