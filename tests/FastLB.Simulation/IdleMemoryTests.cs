using FastLB.Core.Loop;
using FastLB.Core.Proxy;

namespace FastLB.Simulation;

/// <summary>What an idle connection costs. A server has thousands of them for each one that is busy.</summary>
public sealed class IdleMemoryTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public void An_idle_connection_is_one_object_of_at_most_256_bytes()
    {
        var stage = new Stage();
        var connections = new HttpConnection[1_000];
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < connections.Length; i++)
        {
            connections[i] = stage.Proxy.RentHttp(stage.Http, new ClientAddress(1, 1));
        }

        var bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / connections.Length;
        Assert.InRange(bytes, 1, 256);
    }

    [Fact]
    public void What_a_request_needed_serves_the_next_connection_once_it_is_answered()
    {
        var stage = new Stage();
        var first = stage.Client(Get);
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();
        Assert.EndsWith("ok", first.Heard, StringComparison.Ordinal);
        Assert.Equal(0, stage.Loop.Buffers.Rented);

        // The first connection stays, and the exchange that it needed is there for whoever asks next; a second one at the same time is new.
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var exchange = stage.Proxy.RentExchange(stage.Proxy.RentHttp(stage.Http, new ClientAddress(1, 1)));
        var another = stage.Proxy.RentHttp(stage.Http, new ClientAddress(1, 2));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 1, 2 * 256);
        Assert.NotSame(exchange, stage.Proxy.RentExchange(another));
    }

    [Fact]
    public void A_burst_leaves_a_bounded_number_of_objects_behind()
    {
        var list = new FreeList<object>(limit: 100);
        var kept = Enumerable.Range(0, 150).Select(_ => new object()).ToArray();
        foreach (var item in kept)
        {
            list.Keep(item);
        }

        for (var i = 99; i >= 0; i--)
        {
            Assert.Same(kept[i], list.TryTake());
        }

        Assert.Null(list.TryTake());
    }
}
