using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// Moving: splice(2) from the source into a pipe and from the pipe into the target, called directly on the non-blocking sockets. The pipe is
/// emptied before more is read, and is held only while something is in it, so a step ends in one of two states: the pipe is gone and the
/// source has nothing at hand, or the pipe is there and the target takes nothing.
/// </summary>
public abstract partial class KernelLoop
{
    /// <summary>What a move may take in one go before others have their turn.</summary>
    private const int BytesPerStep = 1024 * 1024;

    /// <summary>A read of less than this would have been cheaper to copy.</summary>
    private const int SmallRead = 16 * 1024;

    /// <summary>So many small reads in a row, and the move gives way to copying.</summary>
    private const int SmallReadsUntilYield = 16;

    private const int MostPipes = 256;

    private readonly Pipes _pipes;

    // By descriptor: the move that leads away from it, and the one that leads to it. They grow with the first move.
    private Movement?[] _movesFrom = [];
    private Movement?[] _movesTo = [];
    private Movement? _freeMovement;

    /// <summary>
    /// The break-even is about 32 KB on loopback, and a body of 100 KB is cheaper in one large buffer (see perf-results). A receive that
    /// brought as much as this says that more is probably there.
    /// </summary>
    public override int WorthMovingBytes => 64 * 1024;

    /// <summary>Pipes that hold bytes now.</summary>
    internal int PipesLent => _pipes.Lent;

    public override bool CanMove(Peer source, Peer target) =>
        _pipes.CanLend(NowMs) && ((source.State.Flags | target.State.Flags) & PeerFlags.Joined) == 0;

    public override void Move(Peer source, Peer target, long limit)
    {
        Invariant.That(source.IsOpen && target.IsOpen && !ReferenceEquals(source, target), "two open peers take part in a move");
        Invariant.That(!source.IsReceiving, "a move is the one receive of its source");
        Invariant.That(!target.IsSending, "a move is the one send of its target");
        Invariant.That((target.State.Flags & PeerFlags.SendSideShut) == 0, "nothing is sent behind the end of a stream");
        Invariant.That(limit > 0, "a move has bytes to move");
        var highest = Math.Max(source.State.Handle, target.State.Handle);
        if (_movesFrom.Length <= highest)
        {
            var size = Math.Max(highest + 1, 2 * _movesFrom.Length);
            Array.Resize(ref _movesFrom, size);
            Array.Resize(ref _movesTo, size);
        }

        var movement = _freeMovement ?? new Movement();
        _freeMovement = movement.NextFree;
        movement.Begin(source, target, limit);
        _movesFrom[source.State.Handle] = movement;
        _movesTo[target.State.Handle] = movement;
        source.State.Flags |= PeerFlags.ReceiveArmed | PeerFlags.MoveSource;
        target.State.Flags |= PeerFlags.SendOutstanding | PeerFlags.MoveTarget;
        OpenMove(movement);
        if ((source.State.Flags & PeerFlags.Readable) != 0)
        {
            MarkReady(source);
        }
    }

    public override long Moved(Peer source) => !source.IsMoving ? 0
        : (source.State.Flags & PeerFlags.Joined) != 0 ? PassedFrom(source) : MoveFrom(source).Moved;

    public override bool IsMoveAwaitingTarget(Peer source) => source.IsMoving
        && ((source.State.Flags & PeerFlags.Joined) != 0 ? IsPassingAwaitingTarget(source) : MoveFrom(source).Held > 0);

    /// <summary>Sets the movement's descriptors; -errno in their place where there are none.</summary>
    private protected abstract void OpenMove(Movement move);

    /// <summary>A step ended because one side has nothing or takes nothing; the loop learns when that changes.</summary>
    private protected abstract void AwaitMove(Movement move);

    /// <summary>The movement is over, and what <see cref="OpenMove"/> opened goes.</summary>
    private protected abstract void CloseMove(Movement move);

    private protected static int LimitPipes() => Libc.DescriptorLimit() is > 0 and var limit ? (int)Math.Min(MostPipes, limit / 32) : MostPipes;

    private protected Movement MoveFrom(Peer source) => _movesFrom[source.State.Handle]!;

    private protected Movement MoveTo(Peer target) => _movesTo[target.State.Handle]!;

    /// <summary>Gets on with the moves that a ready peer takes part in: at most one from it and one to it.</summary>
    private protected void StepMoves(Peer peer)
    {
        if ((peer.State.Flags & PeerFlags.Joined) != 0)
        {
            StepJoined(_joined[peer.State.Handle]!);
            return;
        }

        if ((peer.State.Flags & PeerFlags.MoveSource) != 0)
        {
            Step(MoveFrom(peer));
        }

        // The end of the first may have begun or given up the second.
        if ((peer.State.Flags & PeerFlags.MoveTarget) != 0)
        {
            Step(MoveTo(peer));
        }
    }

    private void Step(Movement move)
    {
        for (var budget = BytesPerStep; ;)
        {
            if (move.Held > 0)
            {
                var written = TryEmpty(move);
                if (written < 0)
                {
                    if (written == -Libc.EAGAIN)
                    {
                        AwaitMove(move);
                    }
                    else
                    {
                        End(move, MoveEnd.TargetFailed, (int)written);
                    }

                    return;
                }

                budget -= (int)written;
                continue;
            }

            if (move.Remaining == 0)
            {
                End(move, MoveEnd.Complete, 0);
                return;
            }

            if (move.SmallReads >= SmallReadsUntilYield || move.SourceDescriptor < 0 || move.TargetDescriptor < 0)
            {
                End(move, MoveEnd.Yielded, 0);
                return;
            }

            if (budget <= 0)
            {
                MarkReady(move.Source!);
                return;
            }

            if (!TryFill(move))
            {
                return;
            }
        }
    }

    /// <summary>Writes what the target takes of the pipe: a count, -EAGAIN, or another -errno.</summary>
    private nint TryEmpty(Movement move)
    {
        ref var target = ref move.Target!.State;
        if ((target.Flags & PeerFlags.Writable) == 0)
        {
            return -Libc.EAGAIN;
        }

        var written = Libc.Splice(move.Pipe!.ReadEnd, move.TargetDescriptor, move.Held);
        if (written > 0)
        {
            Invariant.That(written <= move.Held, "no more leaves a pipe than is in it");
            move.Held -= (int)written;
            move.Moved += written;
            if (move.Held == 0)
            {
                _pipes.Return(move.Pipe, isEmpty: true);
                move.Pipe = null;
            }

            return written;
        }

        if (written == -Libc.EAGAIN)
        {
            target.Flags &= ~PeerFlags.Writable;
        }

        // A socket that takes 0 bytes of some is not known; it would spin, so it counts as broken.
        return written == -Libc.EINTR ? 0 : written == 0 ? -IoError.BrokenPipe : written;
    }

    /// <summary>Reads what is at hand into an empty pipe. False when the step is over, be it that the move has ended.</summary>
    private bool TryFill(Movement move)
    {
        ref var source = ref move.Source!.State;
        if ((source.Flags & PeerFlags.Readable) == 0)
        {
            AwaitMove(move);
            return false;
        }

        var pipe = _pipes.TryTake(NowMs);
        if (pipe is null)
        {
            End(move, MoveEnd.Yielded, 0);
            return false;
        }

        var read = Libc.Splice(move.SourceDescriptor, pipe.WriteEnd, (nint)Math.Min(move.Remaining, pipe.Capacity));
        if (read > 0)
        {
            move.Pipe = pipe;
            move.Held = (int)read;
            move.Remaining -= move.Remaining == long.MaxValue ? 0 : read;
            move.SmallReads = read < SmallRead ? move.SmallReads + 1 : 0;
            return true;
        }

        _pipes.Return(pipe, isEmpty: true);
        if (read == -Libc.EINTR)
        {
            return true;
        }

        if (read == -Libc.EAGAIN)
        {
            source.Flags &= ~PeerFlags.Readable;
            AwaitMove(move);
        }
        else
        {
            End(move, read == 0 ? MoveEnd.SourceEnded : MoveEnd.SourceFailed, (int)read);
        }

        return false;
    }

    private void End(Movement move, MoveEnd end, int error)
    {
        var source = move.Source!;
        var moved = move.Moved;
        Discard(move);
        source.OnMoved(new MoveResult(end, moved, error));
    }

    /// <summary>A peer closes, so nothing more is moved from it or to it.</summary>
    private protected void GiveUpMoves(Peer peer)
    {
        if ((peer.State.Flags & PeerFlags.Joined) != 0)
        {
            Leave(_joined[peer.State.Handle]!.Junction);
            return;
        }

        if ((peer.State.Flags & PeerFlags.MoveSource) != 0)
        {
            Discard(MoveFrom(peer));
        }

        if ((peer.State.Flags & PeerFlags.MoveTarget) != 0)
        {
            Discard(MoveTo(peer));
        }
    }

    private void Discard(Movement move)
    {
        var source = move.Source!;
        var target = move.Target!;
        if (move.Pipe is { } pipe)
        {
            _pipes.Return(pipe, isEmpty: false);
        }

        CloseMove(move);
        _movesFrom[source.State.Handle] = null;
        _movesTo[target.State.Handle] = null;
        source.State.Flags &= ~(PeerFlags.ReceiveArmed | PeerFlags.MoveSource);
        target.State.Flags &= ~(PeerFlags.SendOutstanding | PeerFlags.MoveTarget);
        move.Clear();
        move.NextFree = _freeMovement;
        _freeMovement = move;
    }

    private protected void DisposeMoves()
    {
        foreach (var move in _movesFrom)
        {
            if (move?.Pipe is { } pipe)
            {
                _pipes.Return(pipe, isEmpty: false);
            }
        }

        _pipes.Dispose();
        _maps?.Dispose();
    }

    /// <summary>A move that is outstanding, or one of the free ones.</summary>
    private protected sealed class Movement
    {
        internal Peer? Source;
        internal Peer? Target;
        internal int SourceDescriptor;
        internal int TargetDescriptor;

        /// <summary>What is still to be read; <see cref="long.MaxValue"/> stays as it is.</summary>
        internal long Remaining;
        internal long Moved;

        /// <summary>Not null exactly while <see cref="Held"/> is positive.</summary>
        internal Pipe? Pipe;
        internal int Held;
        internal int SmallReads;
        internal Movement? NextFree;

        internal void Begin(Peer source, Peer target, long limit)
        {
            Source = source;
            Target = target;
            Remaining = limit;
            NextFree = null;
        }

        internal void Clear()
        {
            Source = null;
            Target = null;
            Remaining = 0;
            Moved = 0;
            Pipe = null;
            Held = 0;
            SmallReads = 0;
        }
    }
}
