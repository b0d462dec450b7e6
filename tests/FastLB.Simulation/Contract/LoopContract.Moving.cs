using FastLB.Core.Loop;

namespace FastLB.Simulation.Contract;

/// <summary>What a loop promises that moves bytes from one peer to another.</summary>
public abstract partial class LoopContract
{
    [Fact]
    public void A_loop_says_whether_it_moves()
    {
        using var stage = new Scene(this);
        using var giver = stage.Connect(out var source);
        using var taker = stage.Connect(out var target);
        Assert.Equal(Moves, stage.Bench.Loop.CanMove(source, target));
        if (!Moves)
        {
            Assert.Throws<NotSupportedException>(() => stage.Bench.Loop.Move(source, target, 1));
        }
    }

    [Fact]
    public void A_move_takes_exactly_its_limit_and_the_next_bytes_are_received()
    {
        using var stage = new MovingScene(this);
        if (!Moves)
        {
            return;
        }

        stage.Giver.Send(Pattern.Make(1, Pattern.Tunnel, 50_000));
        stage.Source.MoveTo(stage.Target, 49_000);
        stage.Until(() => stage.Source.Count("moved") == 1, "the move ends");
        Assert.Equal(new MoveResult(MoveEnd.Complete, 49_000, 0), stage.Source.MoveResult);
        Assert.False(stage.Source.IsReceiving || stage.Source.IsMoving || stage.Target.IsSending);
        stage.Until(() => { stage.Taker.Read(); return stage.Taker.Received.Count == 49_000; }, "what was moved arrives");
        stage.Source.ReceiveAll();
        stage.Until(() => stage.Source.Bytes.Count == 1_000, "the rest is received");
        Pattern.Check([.. stage.Taker.Received], 1, Pattern.Tunnel, 0, "the target");
        Pattern.Check([.. stage.Source.Bytes], 1, Pattern.Tunnel, 49_000, "the source");
        stage.Target.Send("after"u8);
        stage.Until(() => { stage.Taker.Read(); return stage.Taker.Received.Count == 49_005; }, "the target sends again");
    }

    [Fact]
    public void Moves_both_ways_at_once_take_everything_to_slow_readers_and_then_tell_the_ends()
    {
        using var stage = new MovingScene(this);
        if (!Moves)
        {
            return;
        }

        const int Length = 3_000_000;
        var there = Pattern.Make(1, Pattern.Tunnel, Length);
        var back = Pattern.Make(2, Pattern.Tunnel, Length);
        var (sentThere, sentBack) = (0, 0);
        stage.MoveUntilEnd(stage.Source, stage.Target);
        stage.MoveUntilEnd(stage.Target, stage.Source);
        stage.Until(() =>
        {
            sentThere += SendSome(stage.Giver, there, sentThere);
            sentBack += SendSome(stage.Taker, back, sentBack);
            stage.Giver.Read(30_000);
            stage.Taker.Read(20_000);
            return stage.Taker.Received.Count == Length && stage.Giver.Received.Count == Length
                && stage.Source.MoveResult.End == MoveEnd.SourceEnded && stage.Target.MoveResult.End == MoveEnd.SourceEnded;
        }, "both streams arrive");
        Pattern.Check([.. stage.Taker.Received], 1, Pattern.Tunnel, 0, "there");
        Pattern.Check([.. stage.Giver.Received], 2, Pattern.Tunnel, 0, "back");
        Assert.False(stage.Taker.SawEnd, "an end is told and not passed on");

        static int SendSome(RemoteEnd remote, byte[] bytes, int from)
        {
            if (from == bytes.Length)
            {
                return 0;
            }

            var sent = remote.TrySend(bytes.AsSpan(from, Math.Min(64 * 1024, bytes.Length - from)));
            if (from + sent == bytes.Length)
            {
                remote.ShutdownSend();
            }

            return sent;
        }
    }

    [Fact]
    public void A_move_is_the_receive_of_its_source_and_the_send_of_its_target()
    {
        using var stage = new MovingScene(this);
        if (!Moves)
        {
            return;
        }

        var loop = stage.Bench.Loop;
        stage.Source.MoveTo(stage.Target, long.MaxValue);
        Assert.True(stage.Source is { IsReceiving: true, IsMoving: true } && stage.Target is { IsSending: true, IsMoving: false });
        Assert.Throws<InvariantViolatedException>(() => loop.Receive(stage.Source));
        Assert.Throws<InvariantViolatedException>(() => loop.ShutdownSend(stage.Target));
        Assert.Throws<InvariantViolatedException>(() => loop.Move(stage.Source, stage.Target, 1));
        var buffer = loop.Buffers.TryRent(1)!;
        Assert.Throws<InvariantViolatedException>(() => loop.Send(stage.Target, buffer, 1024, 1025));
        buffer.Release();

        // The other direction is free: that of its target's receives and its source's sends.
        stage.Target.ReceiveAll();
        stage.Taker.Send("up"u8);
        stage.Source.Send("down"u8);
        stage.Giver.Send("moved"u8);
        stage.Until(() => stage.Target.Bytes.Count == 2 && stage.Source.Count("sent") == 1, "the other direction works");
        stage.Until(() => { stage.Giver.Read(); return stage.Giver.Received.Count == 4; }, "it arrives");
        stage.Until(() => { stage.Taker.Read(); return stage.Taker.Received.Count == 5; }, "what is moved arrives");
        Assert.Empty(stage.Source.Bytes);
    }

    [Fact]
    public void A_move_tells_its_progress_and_which_side_it_waits_for()
    {
        using var stage = new MovingScene(this);
        if (!Moves)
        {
            return;
        }

        var loop = stage.Bench.Loop;
        var bytes = Pattern.Make(1, Pattern.Tunnel, 64 * 1024);
        stage.Source.MoveTo(stage.Target, long.MaxValue);
        stage.Turns(3);
        Assert.Equal((0, false), (loop.Moved(stage.Source), loop.IsMoveAwaitingTarget(stage.Source)));
        stage.Until(() => { stage.Giver.TrySend(bytes); return loop.IsMoveAwaitingTarget(stage.Source); }, "the target takes no more");
        var quiet = 0;
        var (moved, progress) = (-1L, -1L);
        stage.Until(() =>
        {
            quiet = loop.Moved(stage.Source) == moved ? quiet + 1 : 0;
            (moved, progress) = (loop.Moved(stage.Source), loop.SendProgress(stage.Target));
            return quiet > 50;
        }, "nothing moves any more");
        Assert.True(moved > 0);
        stage.Until(() => { stage.Taker.Read(); return loop.SendProgress(stage.Target) > progress; }, "a read shows as progress of the target's send");
        stage.Until(() => { stage.Taker.Read(); return loop.Moved(stage.Source) > moved; }, "the move gets on");
        stage.Until(() => { stage.Taker.Read(); return !loop.IsMoveAwaitingTarget(stage.Source); }, "it waits for its source again");
        stage.Until(() => { stage.Taker.Read(); return stage.Taker.Received.Count == loop.Moved(stage.Source); }, "what it counts arrives");
    }

    [Fact]
    public void Closing_a_side_gives_a_move_up_without_a_callback_and_its_bytes_reach_nobody_else()
    {
        foreach (var closesTarget in new[] { true, false })
        {
            using var stage = new MovingScene(this);
            if (!Moves)
            {
                return;
            }

            var bytes = new byte[64 * 1024];
            stage.Source.MoveTo(stage.Target, long.MaxValue);
            stage.Until(() => { stage.Giver.TrySend(bytes); return stage.Bench.Loop.IsMoveAwaitingTarget(stage.Source); }, "bytes are on their way");
            var (closed, left) = closesTarget ? (stage.Target, stage.Source) : (stage.Source, stage.Target);
            closed.Close(reset: true);
            Assert.False(left.IsReceiving || left.IsSending || left.IsMoving);
            stage.Until(() => closed.Count("closed") == 1, "it is closed");
            stage.Turns(5);
            Assert.Equal(0, stage.Source.Count("moved"));
            if (closesTarget)
            {
                left.ReceiveAll();
                stage.Until(() => left.Bytes.Count > 0, "the source can be drained");
            }

            left.Close(reset: true);
            stage.Until(() => left.Count("closed") == 1, "the other one is closed");

            using var giver = stage.Connect(out var source);
            using var taker = stage.Connect(out var target);
            giver.Send("mine"u8);
            source.MoveTo(target, 4);
            stage.Until(() => source.Count("moved") == 1, "another move ends");
            stage.Until(() => { taker.Read(); return taker.Received.Count == 4; }, "its bytes arrive");
            Assert.Equal("mine"u8.ToArray(), taker.Received);
        }
    }

    [Fact]
    public void A_broken_side_ends_a_move_with_its_name()
    {
        using var stage = new MovingScene(this);
        if (!Moves)
        {
            return;
        }

        stage.Source.MoveTo(stage.Target, long.MaxValue);
        stage.Giver.Send("x"u8);
        stage.Until(() => stage.Taker.Read(), "it moves");
        stage.Taker.Close(reset: true);
        stage.Until(() => { stage.Giver.TrySend("y"u8); return stage.Source.Count("moved") == 1; }, "the move ends");
        Assert.Equal(MoveEnd.TargetFailed, stage.Source.MoveResult.End);
        Assert.Contains(-stage.Source.MoveResult.Error, new[] { IoError.BrokenPipe, IoError.ConnectionReset });

        using var giver = stage.Connect(out var source);
        using var taker = stage.Connect(out var target);
        source.MoveTo(target, long.MaxValue);
        giver.Send("x"u8);
        stage.Until(() => taker.Read(), "it moves");
        giver.Close(reset: true);
        stage.Until(() => source.Count("moved") == 1, "the move ends");
        var expected = stage.Bench.KnowsReset ? new MoveResult(MoveEnd.SourceFailed, 1, -IoError.ConnectionReset) : new MoveResult(MoveEnd.SourceEnded, 1, 0);
        Assert.Equal(expected, source.MoveResult);
    }

    [Fact]
    public void The_end_of_one_move_may_begin_the_next()
    {
        using var stage = new MovingScene(this);
        if (!Moves)
        {
            return;
        }

        var left = 9;
        stage.Source.On["moved"] = source =>
        {
            if (left-- > 0)
            {
                source.MoveTo(stage.Target, 1_000);
            }
        };
        stage.Source.MoveTo(stage.Target, 1_000);
        stage.Giver.Send(Pattern.Make(1, Pattern.Tunnel, 10_000));
        stage.Until(() => { stage.Taker.Read(); return stage.Taker.Received.Count == 10_000; }, "all pieces arrive");
        stage.Until(() => stage.Source.Count("moved Complete 1000 0") == 10, "all moves end");
        Pattern.Check([.. stage.Taker.Received], 1, Pattern.Tunnel, 0, "the target");
    }

    /// <summary>Two connections: what the giver sends arrives at the source, what goes to the target arrives at the taker.</summary>
    private sealed class MovingScene : IDisposable
    {
        private readonly Scene _scene;

        internal MovingScene(LoopContract contract)
        {
            _scene = new Scene(contract);
            Giver = _scene.Connect(out var source);
            Taker = _scene.Connect(out var target);
            (Source, Target) = (source, target);
        }

        internal LoopBench Bench => _scene.Bench;

        internal RemoteEnd Giver { get; }

        internal ContractPeer Source { get; }

        internal ContractPeer Target { get; }

        internal RemoteEnd Taker { get; }

        /// <summary>A loop may give way to copying at any time; here it is asked again.</summary>
        internal void MoveUntilEnd(ContractPeer from, ContractPeer to)
        {
            from.On["moved"] = p =>
            {
                if (p.MoveResult.End == MoveEnd.Yielded)
                {
                    p.MoveTo(to, long.MaxValue);
                }
            };
            from.MoveTo(to, long.MaxValue);
        }

        internal RemoteEnd Connect(out ContractPeer peer) => _scene.Connect(out peer);

        internal void Until(Func<bool> condition, string what) => _scene.Until(condition, what);

        internal void Turns(int count) => _scene.Turns(count);

        public void Dispose()
        {
            Giver.Dispose();
            Taker.Dispose();
            _scene.Dispose();
        }
    }
}
