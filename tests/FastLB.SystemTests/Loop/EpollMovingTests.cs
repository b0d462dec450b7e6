using FastLB.Core.Loop;
using FastLB.Linux;
using FastLB.Simulation.Contract;

namespace FastLB.SystemTests.Loop;

/// <summary>What moving is like on epoll beyond the contract: pipes that run out, and sources that bring little.</summary>
public class EpollMovingTests
{
    [Fact]
    public void Without_a_pipe_nothing_is_moved_and_a_move_that_was_begun_gives_way_to_copying()
    {
        using var scene = new Scene(pipeLimit: 1);
        var (giver, source) = scene.Connect();
        var (_, target) = scene.Connect();
        Assert.True(scene.Loop.CanMove(source, target));
        source.MoveTo(target, long.MaxValue);
        scene.Bench.RunUntil(() => { giver.TrySend(new byte[64 * 1024]); return scene.Loop.IsMoveAwaitingTarget(source); }, "the only pipe is in use");

        var (secondGiver, second) = scene.Connect();
        var (secondTaker, secondTarget) = scene.Connect();
        Assert.False(scene.Loop.CanMove(second, secondTarget));
        secondGiver.Send("x"u8);
        second.MoveTo(secondTarget, long.MaxValue);
        scene.Bench.RunUntil(() => second.Count("moved") == 1, "the second move ends");
        Assert.Equal(new MoveResult(MoveEnd.Yielded, 0, 0), second.MoveResult);
        second.ReceiveAll();
        scene.Bench.RunUntil(() => second.Bytes.Count == 1, "nothing of it is lost");

        target.Close();
        source.Close();
        Assert.Equal(0, scene.Loop.PipesLent);
        Assert.True(scene.Loop.CanMove(second, secondTarget));
    }

    [Fact]
    public void A_move_that_waits_for_its_source_holds_no_pipe()
    {
        using var scene = new Scene(pipeLimit: 1);
        var (giver, source) = scene.Connect();
        var (taker, target) = scene.Connect();
        source.MoveTo(target, long.MaxValue);
        giver.Send(new byte[50_000]);
        scene.Bench.RunUntil(() => { taker.Read(); return taker.Received.Count == 50_000; }, "it moves");
        scene.Bench.Turn(sleeps: false);
        Assert.Equal(0, scene.Loop.PipesLent);
        Assert.True(source.IsMoving);
    }

    [Fact]
    public void A_source_that_brings_little_at_a_time_is_given_back_to_copying()
    {
        using var scene = new Scene(pipeLimit: 1);
        var (giver, source) = scene.Connect();
        var (taker, target) = scene.Connect();
        source.MoveTo(target, long.MaxValue);
        var sent = 0;
        scene.Bench.RunUntil(() =>
        {
            // Always one at a time: the next goes when the one before it has arrived.
            taker.Read();
            if (taker.Received.Count == sent && source.Count("moved") == 0)
            {
                giver.Send("x"u8);
                sent++;
            }

            return source.Count("moved") == 1;
        }, "the move gives way");
        Assert.Equal((MoveEnd.Yielded, sent), (source.MoveResult.End, (int)source.MoveResult.Bytes));
        Assert.InRange(sent, 2, 100);
    }

    [Fact]
    public void A_pipe_with_bytes_in_it_is_closed_and_an_empty_one_serves_again()
    {
        var pipes = new Pipes(limit: 2);
        var first = pipes.TryTake(0)!;
        var second = pipes.TryTake(0)!;
        Assert.False(pipes.CanLend(0));
        Assert.Null(pipes.TryTake(0));
        Assert.InRange(first.Capacity, Pipes.SmallestCapacity, int.MaxValue);
        pipes.Return(first, isEmpty: true);
        Assert.Same(first, pipes.TryTake(0));
        pipes.Return(second, isEmpty: false);
        Assert.Equal(-Libc.EBADF, Libc.ResizePipe(second.WriteEnd, Pipes.WantedCapacity));
        Assert.NotSame(second, pipes.TryTake(0));
        Assert.Equal(2, pipes.Lent);
    }

    private sealed class Scene : IDisposable
    {
        private readonly List<RemoteEnd> _remotes = [];
        private ContractPeer? _next;

        internal Scene(int pipeLimit)
        {
            Loop = new EpollLoop(0, new BufferPool(), 1, pipeLimit);
            Bench = new KernelLoopBench(Loop, unix: false);
            Bench.Listen(new ContractListener(() => _next));
        }

        internal KernelLoopBench Bench { get; }

        internal EpollLoop Loop { get; }

        internal (RemoteEnd Remote, ContractPeer Peer) Connect()
        {
            var peer = _next = new ContractPeer(Loop);
            var remote = Bench.Connect()!;
            _remotes.Add(remote);
            Bench.RunUntil(() => peer.Count("accepted") == 1, "the connection is accepted");
            return (remote, peer);
        }

        public void Dispose()
        {
            _remotes.ForEach(r => r.Dispose());
            Bench.Dispose();
        }
    }
}
