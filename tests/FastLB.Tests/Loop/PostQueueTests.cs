using FastLB.Core.Loop;

namespace FastLB.Tests.Loop;

public class PostQueueTests
{
    [Fact]
    public void Nothing_that_many_threads_push_is_lost_doubled_or_reordered_within_its_thread()
    {
        const int Producers = 4;
        const int Each = 50_000;
        var queue = new PostQueue();
        var ran = new List<int>[Producers];
        var wakes = 0;
        for (var i = 0; i < Producers; i++)
        {
            ran[i] = new List<int>(Each);
        }

        var threads = Enumerable.Range(0, Producers).Select(producer => new Thread(() =>
        {
            for (var number = 0; number < Each; number++)
            {
                if (queue.Push(new Entry(ran[producer], number)))
                {
                    Interlocked.Increment(ref wakes);
                }
            }
        })).ToArray();
        Array.ForEach(threads, t => t.Start());
        var runs = 0;
        while (ran.Sum(r => r.Count) < Producers * Each)
        {
            if (queue.IsEmpty)
            {
                Thread.Yield();
                continue;
            }

            runs++;
            queue.RunAll(null!);
        }

        Array.ForEach(threads, t => t.Join());
        Assert.All(ran, r => Assert.Equal(Enumerable.Range(0, Each), r));
        Assert.True(queue.IsEmpty);

        // Who finds the queue empty has to wake the loop: exactly once per batch that the loop takes.
        Assert.Equal(runs, wakes);
    }

    [Fact]
    public void Work_pushed_by_work_runs_in_the_next_round()
    {
        var queue = new PostQueue();
        List<int> ran = [];
        queue.Push(new Again(queue, ran));
        queue.RunAll(null!);
        Assert.Empty(ran);
        Assert.False(queue.IsEmpty);
        queue.RunAll(null!);
        Assert.Equal([1], ran);
    }

    private sealed class Entry(List<int> ran, int number) : PostedWork
    {
        public override void Run(EventLoop loop) => ran.Add(number);
    }

    private sealed class Again(PostQueue queue, List<int> ran) : PostedWork
    {
        public override void Run(EventLoop loop) => queue.Push(new Entry(ran, 1));
    }
}
