using FastLB.Core.Balancing;
using FastLB.Core.Metrics;
using FastLB.Core.Resilience;

namespace FastLB.Simulation;

/// <summary>A request whose pool cannot serve it, or is another one meanwhile.</summary>
public sealed class ReplacedPoolScenarioTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public void The_pool_that_stands_in_serves_although_requests_were_served_before()
    {
        var stage = new Stage(workers: 2, pooling: p => p with { Queue = new QueueSettings { Length = 0 } });
        stage.Pool.Publish(new WorkerSet([stage.Workers[0]], []));
        var spare = new Pool(new PoolSettings { Name = "spare" });
        spare.Publish(new WorkerSet([stage.Workers[1]], []));
        stage.Proxy.UsePools([stage.Pool, spare]);
        stage.Proxy.PartOf(stage.Pool)!.Fallback = stage.Proxy.PartOf(spare);
        var first = stage.Client(Get);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        Assert.EndsWith("ok", first.Heard, StringComparison.Ordinal);

        stage.Pool.Publish(WorkerSet.Empty);
        var second = stage.Client(Get);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();

        Assert.EndsWith("ok", second.Heard, StringComparison.Ordinal);
        Assert.Equal((2, 0), (stage.Of(Outcome.Completed), stage.Of(Outcome.QueueFull)));
    }

    [Fact]
    public void A_session_that_waits_is_served_by_a_pool_that_knows_no_sessions()
    {
        var stage = new Stage(workers: 1, pooling: p => p with { Sticky = new StickySettings("", null) { Key = KeySource.ClientAddress } });
        var workers = stage.Pool.Members;
        stage.Pool.Publish(WorkerSet.Empty);
        var client = stage.Client(Get);
        Assert.Equal("", client.Heard);

        var successor = new Pool(stage.Pool.Settings with { Sticky = null }, before: stage.Pool);
        stage.Proxy.UsePools([successor]);
        successor.Publish(new WorkerSet(workers.Ready.Select(w => w.Under(successor.Settings)), []));
        stage.Proxy.OnPublished(successor);
        stage.Settle();
        stage.NextAtWorker().Say(Ok);
        stage.Settle();

        Assert.EndsWith("ok", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pool_that_went_with_requests_waiting_is_forgotten_by_the_next_reload_when_they_are_gone()
    {
        var stage = new Stage(workers: 1);
        var gone = PoolThatWent(stage);
        stage.Proxy.UsePools([stage.Pool]);
        stage.Settle();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.False(gone.IsAlive, "the loop keeps a pool that is no longer configured and at which nobody waits");
    }

    /// <summary>Not inlined, so that no register of the caller keeps the pool.</summary>
    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static WeakReference PoolThatWent(Stage stage)
    {
        var pool = new Pool(new PoolSettings { Name = "spare" });
        stage.Proxy.UsePools([stage.Pool, pool]);
        var rules = new[] { new Core.Routing.RouteRule(null, null, "spare") };
        var (settings, routes) = (stage.Http.Settings, stage.Http.Routes);
        stage.Http.Use(settings with { Routes = rules }, new Core.Routing.RouteTable(rules), null, null);
        var waiting = stage.Client(Get);
        stage.Http.Use(settings, routes, null, null);
        stage.Proxy.UsePools([stage.Pool]);
        waiting.Socket.Close(reset: true);
        stage.Settle();
        Assert.Equal(0, stage.Proxy.OpenCount);
        return new WeakReference(pool);
    }

    [Fact]
    public void What_waits_at_a_pool_that_goes_is_served_by_a_worker_that_was_just_starting()
    {
        var stage = new Stage(workers: 1);
        var workers = stage.Pool.Members;
        stage.Pool.Publish(WorkerSet.Empty);
        var client = stage.Client(Get);

        stage.Proxy.UsePools([]);
        stage.Pool.Publish(workers);
        stage.Proxy.OnPublished(stage.Pool);
        stage.Settle();
        stage.NextAtWorker().Say(Ok);
        stage.Settle();

        Assert.EndsWith("ok", client.Heard, StringComparison.Ordinal);
    }
}
