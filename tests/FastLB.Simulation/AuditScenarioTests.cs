using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Simulation;

/// <summary>Scenes from an audit of the running program by somebody who had not written it.</summary>
public sealed class AuditScenarioTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public void Clients_that_take_nothing_hold_the_large_buffers_and_the_others_are_served_all_the_same()
    {
        var stage = new Stage(buffers: new BufferPool(largeLimit: 2, smallLimit: 40), mood: new NetworkMood { SocketBytes = 200 });
        for (var i = 0; i < 4; i++)
        {
            stage.Client(Get);
            var worker = stage.NextAtWorker();
            worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            stage.Settle();
            worker.Socket.Write(new byte[200]);
            stage.Settle();
            worker.Socket.Write(new byte[200]);
            stage.Settle();
        }

        Assert.Null(stage.Loop.Buffers.TryRent(BufferPool.LargeCapacity));
        var client = stage.Client(Get);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        Assert.EndsWith("ok", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Requests_with_small_bodies_do_not_keep_large_buffers_while_they_wait()
    {
        var stage = new Stage(buffers: new BufferPool(largeLimit: 1, smallLimit: 1_000));
        for (var i = 0; i < 20; i++)
        {
            stage.Client("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
            Assert.EndsWith("\r\n\r\nbody", stage.NextAtWorker().Heard, StringComparison.Ordinal);
            var large = stage.Loop.Buffers.TryRent(BufferPool.LargeCapacity);
            Assert.NotNull(large);
            large.Release();
        }
    }

    [Fact]
    public void Bytes_that_wait_at_an_idle_connection_are_not_the_next_clients_answer()
    {
        var stage = new Stage();
        var first = stage.Client(Get);
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();
        Assert.EndsWith("ok", first.Heard, StringComparison.Ordinal);

        // Both reach the loop in the same turn, the request in front.
        first.Say(Get);
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        stage.Settle();
        Assert.DoesNotContain("poison", first.Heard, StringComparison.Ordinal);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        Assert.DoesNotContain("poison", first.Heard, StringComparison.Ordinal);
        Assert.Equal(2, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void A_request_that_no_worker_accepts_waits_for_the_one_that_FastLB_is_about_to_start()
    {
        var stage = new Stage(workers: 2) { FateOf = _ => ConnectFate.Refused };
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal("", client.Heard);
        stage.FateOf = _ => ConnectFate.Accepted;
        stage.Pool.Publish(WorkerSet.Empty);
        stage.Proxy.OnPublished(stage.Pool);
        stage.Pool.Publish(new WorkerSet([Stage.MakeWorker(0, 2)], []));
        stage.Proxy.OnPublished(stage.Pool);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        Assert.EndsWith("ok", client.Heard, StringComparison.Ordinal);
        Assert.Equal(1, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void A_request_that_no_worker_accepts_gets_503_when_none_comes()
    {
        var stage = new Stage(new Timeouts { QueueMs = 500 }, workers: 2) { FateOf = _ => ConnectFate.Refused };
        var client = stage.Client(Get);
        stage.Pass(501);
        Assert.StartsWith("HTTP/1.1 503 ", client.Heard, StringComparison.Ordinal);
        Assert.Equal(1, stage.Of(Outcome.NoWorker));
    }

    [Fact]
    public void A_head_that_trickles_from_the_worker_has_its_time_as_a_whole()
    {
        var stage = new Stage(new Timeouts { ResponseMs = 1_000 });
        var client = stage.Client(Get);
        var worker = stage.NextAtWorker();
        foreach (var character in "HTTP")
        {
            worker.Say(character.ToString());
            stage.Settle();
            stage.Pass(250);
        }

        Assert.StartsWith("HTTP/1.1 504 ", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_body_that_trickles_from_the_worker_is_not_silence()
    {
        var stage = new Stage(new Timeouts { ResponseMs = 1_000 });
        var client = stage.Client(Get);
        var worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        foreach (var character in "hello")
        {
            worker.Say(character.ToString());
            stage.Settle();
            stage.Pass(600);
        }

        Assert.EndsWith("hello", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Informational_answers_without_end_are_ended()
    {
        var stage = new Stage();
        var client = stage.Client("GET / HTTP/1.0\r\n\r\n");
        var worker = stage.NextAtWorker();
        for (var i = 0; i < 1_100 && client.End == "open"; i++)
        {
            worker.Socket.Write("HTTP/1.1 103 Early Hints\r\n\r\n"u8.ToArray());
            stage.Settle();
        }

        Assert.StartsWith("HTTP/1.1 502 ", client.Heard, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("h2c", false)]
    [InlineData("websocket, h2c", false)]
    [InlineData(",H2C-14", false)]
    [InlineData("websocket", true)]
    public void h2c_is_not_passed_on_wherever_it_stands(string protocols, bool isPassedOn)
    {
        var stage = new Stage();
        stage.Client($"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocols}\r\n\r\n");
        Assert.Equal(isPassedOn, stage.NextAtWorker().Heard.Contains("Upgrade:", StringComparison.OrdinalIgnoreCase));
    }
}
