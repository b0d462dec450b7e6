using System.Net;
using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Tests.Balancing;

/// <summary>A pool that goes on while its settings and its workers change.</summary>
public class PoolOverlayTests
{
    [Fact]
    public void A_worker_whose_address_stays_keeps_its_slot_and_its_counts_and_a_new_one_gets_a_free_slot()
    {
        var pool = new Pool(Reaching(1, 2, 3));
        var (first, third) = (pool.Workers.Ready[0], pool.Workers.Ready[2]);
        third.Begin(0);

        pool.Apply(Reaching(1, 3, 4));

        Assert.Equal(["0 at 1", "1 at 4", "2 at 3"], pool.Workers.Ready.Select(w => $"{w.Slot} at {w.Endpoint.Port}"));
        Assert.Same(first, pool.Workers.Ready[0]);
        Assert.Equal(1, pool.Workers.Ready[2].InFlight);
    }

    [Fact]
    public void Timeouts_and_strategy_change_where_the_pool_stands_and_what_guards_it_does_not()
    {
        var settings = Reaching(1);
        Assert.True(Pool.CanApply(settings, settings with { Timeouts = new Timeouts { QueueMs = 1 }, Strategy = new StrategyPlan("round-robin") }));
        Assert.False(Pool.CanApply(settings, settings with { Limits = new LoadLimits { Requests = 1 } }));
        Assert.False(Pool.CanApply(settings, settings with { Queue = new QueueSettings { Length = 1 } }));

        var pool = new Pool(settings);
        pool.Apply(settings with { Strategy = new StrategyPlan("round-robin") });
        Assert.Equal("round-robin", pool.Snapshot.Strategy.Name);
    }

    [Fact]
    public void A_pool_that_takes_anothers_place_has_its_workers_with_their_counts_and_the_operators_changes()
    {
        var before = new Pool(Reaching(1, 2));
        before.Change(overlay => overlay.WithSwitch(0, WorkerSwitch.Off));
        before.Workers.Ready[0].Begin(0);

        var after = new Pool(Reaching(1, 2) with { Limits = new LoadLimits { WorkerRequests = 5 } }, before: before);

        var worker = Assert.Single(after.Workers.Ready);
        Assert.Equal((1, 1L, 5), (worker.Slot, worker.InFlight, worker.RequestLimit!.Limit));
        Assert.Null(before.Workers.Ready[0].RequestLimit);
    }

    [Fact]
    public void A_worker_that_leaves_while_another_pool_takes_the_place_leaves_both_and_one_that_comes_comes_to_both()
    {
        var settings = Reaching();
        var before = new Pool(settings);
        var workers = Enumerable.Range(0, 3).Select(slot => new Worker("app", slot, 1, At(slot + 1), 1, settings: settings)).ToArray();
        before.Publish(new WorkerSet(workers[..2], []));
        var after = new Pool(settings with { Limits = new LoadLimits { WorkerRequests = 5 } }, before: before);
        before.Publish(new WorkerSet(workers[1..2], []));
        before.PassOnTo(after);
        Assert.Equal([1], after.Workers.Ready.Select(w => w.Slot));

        before.Publish(new WorkerSet(workers[2..], workers[1..2]));

        foreach (var pool in (Pool[])[before, after])
        {
            Assert.Equal([2], pool.Workers.Ready.Select(w => w.Slot));
            Assert.Equal([1], pool.Workers.Draining.Select(w => w.Slot));
        }

        Assert.Equal((true, 5), (after.Workers.Ready[0].IsSameAs(workers[2]), after.Workers.Ready[0].RequestLimit!.Limit));
        Assert.Same(after.Workers.Ready[0], after.Own(workers[2]));

        before.PassOnTo(null);
        before.Publish(WorkerSet.Empty);
        Assert.Single(after.Workers.Ready);
    }

    [Fact]
    public void A_forced_breaker_stays_forced_for_whoever_comes_into_its_slot_and_in_a_pool_that_takes_the_place_until_the_operator_takes_it_back()
    {
        var breaker = new BreakerPlan(new BreakerSettings());
        var settings = Reaching() with { Breaker = breaker, PoolBreaker = breaker };
        var before = new Pool(settings);
        before.Publish(new WorkerSet([new Worker("app", 0, 1, At(1), 1, settings: settings), new Worker("app", 1, 1, At(2), 1, settings: settings)], []));
        before.Change(overlay => overlay.WithBreaker(1, BreakerForce.Open, 1_000).WithBreaker(null, BreakerForce.Closed, 1_000));
        Assert.Equal("Closed ForcedOpen ForcedClosed", States(before));

        before.Publish(new WorkerSet([new Worker("app", 0, 2, At(3), 1, settings: settings), new Worker("app", 1, 2, At(4), 1, settings: settings)], []));
        Assert.Equal("Closed ForcedOpen ForcedClosed", States(before));

        var after = new Pool(settings with { Limits = new LoadLimits { Requests = 5 } }, before: before);
        Assert.Equal("Closed ForcedOpen ForcedClosed", States(after));

        after.Change(overlay => overlay.WithBreaker(1, BreakerForce.None, 2_000));
        Assert.Equal("Closed Closed ForcedClosed", States(after));
        after.Change(_ => PoolOverlay.None);
        Assert.Equal("Closed Closed Closed", States(after));

        static string States(Pool pool) => string.Join(' ', pool.Members.Ready.Select(w => w.Breaker!).Append(pool.Guards.Breaker!).Select(b => b.State(2_000)));
    }

    [Fact]
    public void A_worker_that_the_operator_drains_keeps_its_sessions_and_one_that_is_off_gets_nothing()
    {
        var pool = new Pool(Reaching(1, 2, 3));
        pool.Change(overlay => overlay.WithSwitch(0, WorkerSwitch.Drain).WithSwitch(1, WorkerSwitch.Off));
        Assert.Equal([2], pool.Workers.Ready.Select(w => w.Slot));
        Assert.Equal([0], pool.Workers.Draining.Select(w => w.Slot));

        pool.Change(overlay => overlay.WithSwitch(0, WorkerSwitch.On).WithSwitch(1, WorkerSwitch.On));
        Assert.Equal([0, 1, 2], pool.Workers.Ready.Select(w => w.Slot));
        Assert.True(pool.Overlay.IsNone);
    }

    [Fact]
    public void What_the_operator_added_and_removed_stays_over_another_configuration_until_it_is_forgotten()
    {
        var pool = new Pool(Reaching(1, 2));
        pool.Change(overlay => overlay with { Added = [new ReachedWorker(At(9), 3)], Removed = [At(1)] });
        Assert.Equal([2, 9], pool.Workers.Ready.Select(w => w.Endpoint.Port).Order());
        Assert.Equal(3, pool.Workers.Ready.Single(w => w.Endpoint.Port == 9).Weight);

        pool.Apply(Reaching(1, 2, 4));
        Assert.Equal([2, 4, 9], pool.Workers.Ready.Select(w => w.Endpoint.Port).Order());

        pool.Change(_ => PoolOverlay.None);
        Assert.Equal([1, 2, 4], pool.Workers.Ready.Select(w => w.Endpoint.Port).Order());
    }

    [Fact]
    public void The_operators_weight_covers_the_configured_one_until_it_is_forgotten()
    {
        var pool = new Pool(Reaching(1));
        pool.Change(overlay => overlay with { Weights = overlay.Weights.SetItem(0, 7) });
        pool.Apply(new PoolSettings { Name = "app", Reached = [new ReachedWorker(At(1), 2)] });
        Assert.Equal(7, pool.Workers.Ready[0].Weight);

        pool.Change(_ => PoolOverlay.None);
        Assert.Equal(2, pool.Workers.Ready[0].Weight);
    }

    [Fact]
    public void Who_gets_the_slot_of_a_worker_that_left_gets_nothing_of_what_was_said_of_that_one()
    {
        var pool = new Pool(Reaching(1, 2));
        pool.Change(overlay => overlay.WithSwitch(1, WorkerSwitch.Off) with { Weights = overlay.Weights.SetItem(1, 9) });

        pool.Apply(Reaching(1, 3));

        Assert.Equal(["0 at 1: 1", "1 at 3: 1"], pool.Workers.Ready.Select(w => $"{w.Slot} at {w.Endpoint.Port}: {w.Weight}"));
    }

    private static PoolSettings Reaching(params int[] ports) => new() { Name = "app", Reached = [.. ports.Select(p => new ReachedWorker(At(p)))] };

    private static Endpoint At(int port) => Endpoint.Ip(IPAddress.Loopback, port);
}
