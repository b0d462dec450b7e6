using FastLB.Core.Loop;
using FastLB.Microbenchmarks;

namespace FastLB.Tests.Loop;

public sealed class LoopBarrierTests
{
    [Fact]
    public void It_is_passed_once_and_when_the_last_loop_has_come_between_two_peers()
    {
        var loops = Enumerable.Range(0, 3).Select(i => new IdleLoop(i)).ToArray();
        var passed = 0;
        LoopBarrier.Pass(loops, () => passed++);
        Assert.Equal(0, passed);
        loops[2].Turn(1);
        loops[0].Turn(1);
        loops[2].Turn(1);
        Assert.Equal(0, passed);
        loops[1].Turn(1);
        Assert.Equal(1, passed);
        Array.ForEach(loops, loop => loop.Turn(1));
        Assert.Equal(1, passed);
    }

    [Fact]
    public void What_a_loop_was_doing_when_it_was_called_is_over_when_it_is_passed()
    {
        var loop = new IdleLoop(0);
        var order = new List<string>();
        loop.Post(new Work(() =>
        {
            // The loop acts on what it saw before; the snapshot is swapped meanwhile.
            LoopBarrier.Pass([loop], () => order.Add("passed"));
            order.Add("acted");
        }));
        loop.Turn(1);
        Assert.Equal(["acted"], order);
        loop.Turn(1);
        Assert.Equal(["acted", "passed"], order);
    }

    [Fact]
    public void Loops_on_threads_of_their_own_pass_it_together()
    {
        var loops = Enumerable.Range(0, 4).Select(i => new IdleLoop(i)).ToArray();
        using var passed = new CountdownEvent(100);
        var threads = loops.Select(loop => new Thread(() =>
        {
            while (!passed.IsSet)
            {
                loop.Turn(0);
            }
        }) { IsBackground = true }).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        for (var i = 0; i < 100; i++)
        {
            LoopBarrier.Pass(loops, () => passed.Signal());
        }

        Assert.True(passed.Wait(TimeSpan.FromSeconds(30)), $"{passed.CurrentCount} barriers were not passed");
        Array.ForEach(threads, thread => thread.Join());
    }

    private sealed class Work(Action action) : PostedWork
    {
        public override void Run(EventLoop loop) => action();
    }
}
