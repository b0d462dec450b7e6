using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Microbenchmarks;

namespace FastLB.Tests.Proxy;

/// <summary>A worker that joins others grows into its share, whatever the strategy, and keeps what it was given.</summary>
public sealed class ShareTests
{
    private const int SlowStartMs = 10_000;

    [Theory]
    [InlineData("round-robin")]
    [InlineData("two-choices")]
    [InlineData("least-connections")]
    [InlineData("response-time")]
    [InlineData("weighted-round-robin")]
    public void A_new_workers_share_grows_from_little_to_its_own(string strategy)
    {
        var loop = new IdleLoop(0);
        var pool = new Pool(new PoolSettings { Name = "app", Strategy = new StrategyPlan(strategy), SlowStartMs = SlowStartMs });
        var proxy = new ProxyLoop(loop, [pool]);
        var (old, fresh) = (Make(0), Make(1));
        pool.Publish(new WorkerSet([old], []));
        Assert.Same(old, Pick(proxy));
        loop.Turn(60_000);
        pool.Publish(new WorkerSet([old, fresh], []));

        var shares = new List<double>();
        for (var step = 0; step < 4; step++)
        {
            shares.Add(Enumerable.Range(0, 2_000).Count(_ => ReferenceEquals(Pick(proxy), fresh)) / 2_000.0);
            loop.Turn(SlowStartMs / 3);
        }

        // Fresh from the start it gets one in twenty of its turns, and in the end as much as the other, or, where nothing is in flight, any share.
        Assert.InRange(shares[0], 0, 0.12);
        Assert.True(shares[0] < shares[1] && shares[1] < shares[2], string.Join(", ", shares));
        Assert.InRange(shares[3], 0.4, 1);
    }

    [Fact]
    public void Workers_that_come_together_share_from_the_start()
    {
        var loop = new IdleLoop(0);
        var pool = new Pool(new PoolSettings { Name = "app", Strategy = new StrategyPlan("round-robin"), SlowStartMs = SlowStartMs });
        var proxy = new ProxyLoop(loop, [pool]);
        var (one, other) = (Make(0), Make(1));
        pool.Publish(new WorkerSet([one, other], []));

        Assert.Equal(50, Enumerable.Range(0, 100).Count(_ => ReferenceEquals(Pick(proxy), one)));
    }

    [Fact]
    public void A_slot_keeps_its_weight_when_its_process_is_replaced()
    {
        var pool = new Pool(new PoolSettings { Name = "app" });
        pool.Publish(new WorkerSet([Make(0), Make(1)], []));
        pool.Change(overlay => overlay with { Weights = overlay.Weights.SetItem(1, 7) });

        pool.Publish(new WorkerSet([Make(0), Make(1)], []));

        Assert.Equal([1, 7], pool.Workers.Ready.Select(w => w.Weight));
    }

    private static Worker Pick(ProxyLoop proxy) => proxy.Pools[0].Pick(Affinity.None, null)!.Worker;

    private static Worker Make(int slot) => new("app", slot, 1, Endpoint.Unix("/run/app.sock"), loops: 1);
}
