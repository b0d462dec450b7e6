using FastLB.Core;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Simulation;

/// <summary>What newcomers get wrong (docs/traps.md), where no other scene shows it.</summary>
public sealed class TrapScenarioTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Theory]
    [InlineData("HEAD", "200 OK", "Content-Length: 500\r\n")]
    [InlineData("HEAD", "200 OK", "Transfer-Encoding: chunked\r\n")]
    [InlineData("GET", "204 No Content", "Content-Length: 500\r\n")]
    [InlineData("GET", "304 Not Modified", "Content-Length: 500\r\n")]
    [InlineData("GET", "304 Not Modified", "Transfer-Encoding: chunked\r\n")]
    public void An_answer_that_has_no_body_is_over_at_its_blank_line_whatever_it_says(string method, string status, string framing)
    {
        var stage = new Stage();
        var client = stage.Client($"{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say($"HTTP/1.1 {status}\r\n{framing}\r\n");
        stage.Settle();
        Assert.EndsWith("\r\n\r\n", client.Heard, StringComparison.Ordinal);

        // Both connections go on with the next request, whose answer has its body.
        client.Say(Get);
        stage.Settle();
        Assert.False(stage.HasMoreAtWorkers);
        worker.Say(Ok);
        stage.Settle();
        Assert.EndsWith("\r\n\r\nok", client.Heard, StringComparison.Ordinal);
        Assert.Equal(2, stage.Of(Outcome.Completed));
    }

    [Theory]
    [InlineData("HTTP/1.1", "100 103 103 200")]
    [InlineData("HTTP/1.0", "200")]
    public void Informational_answers_come_in_their_order_and_to_an_old_client_not_at_all(string version, string statuses)
    {
        var stage = new Stage();
        var client = stage.Client($"GET / {version}\r\nHost: a\r\n\r\n");
        stage.NextAtWorker().Say(
            $"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: b\r\n\r\n{Ok}");
        stage.Settle();
        var heard = client.Heard.Split("\r\n");
        Assert.Equal(statuses, string.Join(' ', heard.Where(l => l.StartsWith("HTTP/1.1 ", StringComparison.Ordinal)).Select(l => l.Split(' ')[1])));
        Assert.Equal(version == "HTTP/1.1" ? ["Link: a", "Link: b"] : (string[])[], heard.Where(l => l.StartsWith("Link", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_body_that_its_worker_did_not_ask_for_is_not_waited_for()
    {
        const string Asks = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        var stage = new Stage();
        var client = stage.Client(Asks);
        var worker = stage.NextAtWorker();
        Assert.Contains("\r\nExpect: 100-continue\r\n", worker.Heard, StringComparison.Ordinal);
        worker.Say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
        stage.Settle();
        Assert.EndsWith("\r\n\r\nno", client.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", client.End);
        Assert.Equal(1, stage.Of(Outcome.Completed));

        // The control: one that is asked for goes through, and both connections serve again.
        stage = new Stage();
        client = stage.Client(Asks);
        worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 100 Continue\r\n\r\n");
        stage.Settle();
        client.Say("body");
        stage.Settle();
        Assert.EndsWith("\r\n\r\nbody", worker.Heard, StringComparison.Ordinal);
        worker.Say(Ok);
        stage.Settle();
        Assert.Equal(("open", "open"), (client.End, worker.End));
    }

    [Fact]
    public void An_answer_that_came_before_a_write_failed_is_found()
    {
        var stage = new Stage(mood: new NetworkMood { WorkerSocketBytes = 100 });
        var client = stage.Client($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{new string('b', 5_000)}");
        var worker = stage.NextAtWorker();

        // The answer is there, and a reset behind it, before the proxy looks; most of the body still waits to be written.
        worker.Say("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
        stage.Network.Deliver();
        worker.Socket.Close();
        stage.Settle();
        Assert.StartsWith("HTTP/1.1 413 ", client.Heard, StringComparison.Ordinal);
        Assert.Equal(1, stage.Of(Outcome.Completed));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_direction_that_ended_leaves_the_other_its_time_and_no_more(bool clientEndsFirst)
    {
        var stage = new Stage(new Timeouts { TunnelMs = 60_000, BodyMs = 1_000 });
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        var (first, other) = clientEndsFirst ? (client, worker) : (worker, client);

        // While both directions are open the time of a tunnel holds, afterwards the shorter one.
        stage.Pass(5_000);
        Assert.Equal(("open", "open"), (first.End, other.End));
        first.Socket.ShutdownWrite();
        stage.Settle();
        Assert.Equal("ended", other.End);
        stage.Pass(900);
        other.Say("late");
        stage.Settle();
        Assert.EndsWith("late", first.Heard, StringComparison.Ordinal);
        Assert.Equal("open", first.End);
        stage.Pass(2_002);
        Assert.NotEqual("open", first.End);
        Assert.Equal(0, stage.Loop.OpenPeers);
    }

    [Fact]
    public void An_idle_connection_is_let_go_before_a_Node_worker_would_close_it()
    {
        foreach (var (passed, isUsedAgain) in new[] { (3_900, true), (4_100, false) })
        {
            var stage = new Stage();
            var client = stage.Client(Get);
            var worker = stage.NextAtWorker();
            worker.Say(Ok);
            stage.Settle();
            stage.Pass(passed);
            Assert.Equal(isUsedAgain ? "open" : "ended", worker.End);
            client.Say(Get);
            stage.Settle();
            Assert.Equal(!isUsedAgain, stage.HasMoreAtWorkers);
        }
    }

    [Fact]
    public void A_request_is_tried_again_at_another_worker_and_not_once_a_byte_of_its_answer_left()
    {
        var stage = new Stage(workers: 2);
        var client = stage.Client(Get);
        var first = stage.NextAtWorker();

        // By turns the next one is the second worker's and the one after it the first's again, were it not the one that failed.
        stage.Client(Get);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        first.Socket.Close();
        stage.Settle();
        var second = stage.NextAtWorker();
        Assert.NotEqual(first.Endpoint, second.Endpoint);

        // Its second answer breaks off as well, and now the client has some of it.
        second.Say("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nsome");
        stage.Settle();
        Assert.EndsWith("some", client.Heard, StringComparison.Ordinal);
        second.Socket.Close();
        stage.Settle();
        Assert.False(stage.HasMoreAtWorkers);
        Assert.NotEqual("open", client.End);
        Assert.EndsWith("some", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_client_that_stays_idle_is_closed_without_a_word()
    {
        var stage = new Stage(new Timeouts { KeepAliveMs = 2_000, HeadMs = 500 });
        var client = stage.Client(Get);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        var before = client.Heard;
        stage.Pass(1_900);
        Assert.Equal("open", client.End);
        stage.Pass(200);
        Assert.Equal("ended", client.End);
        Assert.Equal(before, client.Heard);
    }

    [Fact]
    public void Connecting_answering_and_a_tunnel_have_a_time_each()
    {
        var stage = new Stage(new Timeouts { ConnectMs = 100, ResponseMs = 1_000, TunnelMs = 3_000 }, workers: 2);
        var unreachable = stage.Workers[0].Endpoint;
        stage.FateOf = e => e.Equals(unreachable) ? ConnectFate.Unanswered : ConnectFate.Accepted;

        // Of two requests by turns one is sent to the worker that nobody reaches, and is at the other one when that time is over.
        var clients = new[] { stage.Client(Get), stage.Client(Get) };
        stage.Pass(101);
        var workers = new[] { stage.NextAtWorker(), stage.NextAtWorker() };
        Assert.All(workers, w => Assert.Equal(stage.Workers[1].Endpoint, w.Endpoint));
        stage.Pass(850);
        Assert.DoesNotContain(clients, c => c.Heard.Length > 0);
        stage.Pass(200);
        Assert.All(clients, c => Assert.StartsWith("HTTP/1.1 504 ", c.Heard, StringComparison.Ordinal));

        var tunnel = stage.Client("hello", tcp: true);
        stage.Pass(101);
        Assert.Equal("hello", stage.NextAtWorker().Heard);
        stage.Pass(2_800);
        Assert.Equal("open", tunnel.End);
        stage.Pass(3_200);
        Assert.NotEqual("open", tunnel.End);
    }

    [Fact]
    public void Idle_clients_of_a_server_that_stops_are_closed_at_moments_of_their_own()
    {
        var stage = new Stage();
        var clients = Enumerable.Range(0, 40).Select(_ => stage.Client(Get)).ToArray();
        foreach (var _ in clients)
        {
            stage.NextAtWorker().Say(Ok);
            stage.Settle();
        }

        stage.Proxy.BeginDrain(1_000);
        stage.Settle();
        var most = 0;
        var gone = clients.Count(c => c.End != "open");
        Assert.Equal(0, gone);
        for (var passed = 0; passed < 1_000; passed += 50)
        {
            stage.Pass(50);
            var now = clients.Count(c => c.End != "open");
            most = Math.Max(most, now - gone);
            gone = now;
        }

        Assert.Equal(clients.Length, gone);
        Assert.True(most < clients.Length / 2, $"{most} of {clients.Length} in the same 50 ms");
        Assert.DoesNotContain(clients, c => c.IsReset);
    }

    [Fact]
    public void An_answer_during_a_stop_says_that_it_is_the_last_one()
    {
        foreach (var stops in new[] { false, true })
        {
            var stage = new Stage();
            var client = stage.Client(Get);
            var worker = stage.NextAtWorker();
            if (stops)
            {
                stage.Proxy.BeginDrain(1_000);
            }

            worker.Say(Ok);
            stage.Settle();
            Assert.EndsWith("\r\n\r\nok", client.Heard, StringComparison.Ordinal);
            Assert.Equal(stops, client.Heard.Contains("Connection: close\r\n", StringComparison.OrdinalIgnoreCase));
            Assert.Equal(stops ? "ended" : "open", client.End);
        }
    }
}
