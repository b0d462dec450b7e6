using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Simulation;

/// <summary>Scenes that once went wrong, or that are too rare for chance to play them often, each in its fewest lines.</summary>
public sealed class ScenarioTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public void A_request_is_answered_by_its_worker()
    {
        var stage = new Stage();
        var client = stage.Client(Get);
        var worker = stage.NextAtWorker();
        Assert.StartsWith("GET / HTTP/1.1\r\nHost: a\r\n", worker.Heard, StringComparison.Ordinal);
        worker.Say(Ok);
        stage.Settle();
        Assert.EndsWith("\r\n\r\nok", client.Heard, StringComparison.Ordinal);
        Assert.Equal("open", client.End);
        Assert.Equal(1, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void A_request_refused_for_its_first_body_bytes_counts_once_in_its_pool()
    {
        var stage = new Stage();
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n");
        Assert.StartsWith("HTTP/1.1 400 ", client.Heard, StringComparison.Ordinal);
        Assert.Equal(1, stage.Of(Outcome.ClientMalformed));
        Assert.Equal(1, stage.Proxy.Pools[0].Counters.Of(Outcome.ClientMalformed));
        Assert.Equal(1, stage.Proxy.Pools[0].Counters.Requests);
    }

    [Fact]
    public void Pipelined_requests_that_overflow_one_buffer_are_all_answered()
    {
        // The first receive brings a piece of a head, the next as much as a buffer takes: together they are more than one.
        var stage = new Stage();
        var padding = new string('x', 300);
        var request = $"GET / HTTP/1.1\r\nHost: a\r\nX-Padding: {padding}\r\n\r\n";
        const int Count = 400;
        var all = string.Concat(Enumerable.Repeat(request, Count));
        Assert.InRange(all.Length, BufferPool.LargeCapacity, 2 * BufferPool.LargeCapacity);
        var client = stage.Client(all[..100]);
        client.Say(all[100..]);
        var worker = stage.NextAtWorker();
        for (var i = 0; i < Count; i++)
        {
            Assert.InRange(worker.Heard.Split("GET / HTTP").Length - 1, i + 1, i + 17);
            worker.Say(Ok);
            stage.Settle();
        }

        Assert.Equal(Count, client.Heard.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.Equal(Count, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void Informational_answers_that_overflow_one_buffer_do_not_break_the_answer_behind_them()
    {
        var stage = new Stage();
        var client = stage.Client(Get);
        var worker = stage.NextAtWorker();
        var hints = string.Concat(Enumerable.Repeat($"HTTP/1.1 103 Early Hints\r\nX-Padding: {new string('x', 300)}\r\n\r\n", 400));
        worker.Say(hints[..100]);
        stage.Settle();
        worker.Say(hints[100..] + Ok);
        stage.Settle();
        Assert.Equal(400, client.Heard.Split("HTTP/1.1 103").Length - 1);
        Assert.EndsWith("\r\n\r\nok", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void The_answer_to_a_late_head_has_its_body_whatever_was_asked_before()
    {
        var stage = new Stage();
        var client = stage.Client("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        stage.NextAtWorker().Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        stage.Settle();
        client.Say("GET / HT");
        stage.Settle();
        stage.Pass(Timeouts.Default.HeadMs + 1);
        Assert.Contains("HTTP/1.1 408 ", client.Heard, StringComparison.Ordinal);
        Assert.EndsWith("in time.\n", client.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", client.End);
    }

    [Fact]
    public void A_tcp_connection_cut_off_before_it_was_begun_has_no_outcome_too_many()
    {
        var stage = new Stage();
        var client = stage.Network.ConnectTo(1, new ClientAddress(1, 1))!;
        stage.Network.Deliver();
        stage.Loop.StopListening(stage.Tcp);
        stage.Proxy.BeginDrain(1);
        stage.Proxy.CutOff();
        stage.Settle();
        Assert.True(stage.Proxy.IsDrained);
        Assert.Equal(stage.Proxy.Metrics.TcpConnections, stage.Outcomes);
        Assert.Equal(-IoError.ConnectionReset, client.Read(new byte[1]));
    }

    [Fact]
    public void A_next_request_leaves_the_bytes_alone_that_a_failed_one_still_has_in_flight()
    {
        var stage = new Stage(mood: new NetworkMood { WorkerSocketBytes = 100 });
        stage.Loop.HoldsCloses = true;
        var post = $"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n{new string('b', 300)}";
        var client = stage.Client(post + post);
        stage.NextAtWorker().Say("HTTP/1.1 2OO\r\n\r\n");
        stage.Settle();
        Assert.StartsWith("HTTP/1.1 502 ", client.Heard, StringComparison.Ordinal);
        stage.Loop.HoldsCloses = false;
        stage.Settle();
    }

    [Fact]
    public void A_body_that_is_malformed_behind_its_100_is_refused_with_400()
    {
        var stage = new Stage();
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
        stage.NextAtWorker().Say("HTTP/1.1 100 Continue\r\n\r\n");
        stage.Settle();
        Assert.StartsWith("HTTP/1.1 100 ", client.Heard, StringComparison.Ordinal);
        client.Say("-1\r\n");
        stage.Settle();
        Assert.Contains("HTTP/1.1 400 ", client.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", client.End);
        Assert.Equal(1, stage.Of(Outcome.ClientMalformed));
    }

    [Fact]
    public void A_body_that_stops_behind_its_100_is_answered_with_408()
    {
        var stage = new Stage();
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        stage.NextAtWorker().Say("HTTP/1.1 100 Continue\r\n\r\n");
        stage.Settle();
        client.Say("ab");
        stage.Settle();
        stage.Pass(Timeouts.Default.BodyMs + 1);
        Assert.Contains("HTTP/1.1 408 ", client.Heard, StringComparison.Ordinal);
        Assert.Equal(1, stage.Of(Outcome.ClientTimeout));
    }

    [Fact]
    public void An_upgraded_connection_that_is_given_up_with_bytes_in_it_does_not_look_whole()
    {
        var stage = new Stage(new Timeouts { TunnelMs = 1_000 }, mood: new NetworkMood { SocketBytes = 200 });
        var client = stage.Client("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        stage.NextAtWorker().Say($"HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n{new string('t', 1_000)}");
        stage.Settle();

        // The first look finds bytes in flight, the second that they have not moved.
        stage.Pass(2_002);
        Assert.DoesNotContain(new string('t', 1_000), client.Heard, StringComparison.Ordinal);
        stage.Settle();
        Assert.Equal("reset", client.End);
    }

    [Fact]
    public void An_absolute_target_without_a_path_takes_the_route_of_the_root()
    {
        var stage = new Stage(path: "/");
        stage.Client("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.StartsWith("GET / HTTP/1.1\r\n", stage.NextAtWorker().Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_full_queue_says_so_at_once_and_those_in_it_are_served_in_turn()
    {
        var stage = new Stage();
        var worker = stage.Workers[0];
        stage.Pool.Publish(WorkerSet.Empty);
        var waiting = Enumerable.Range(0, 1_024).Select(_ => stage.Client(Get)).ToArray();
        var late = stage.Client(Get);
        Assert.StartsWith("HTTP/1.1 503 ", late.Heard, StringComparison.Ordinal);
        Assert.Contains("Retry-After", late.Heard, StringComparison.Ordinal);
        Assert.Equal(1, stage.Of(Outcome.QueueFull));
        stage.Pool.Publish(new WorkerSet([worker], []));
        stage.Proxy.OnPublished(stage.Pool);
        foreach (var client in waiting)
        {
            stage.NextAtWorker().Say(Ok);
        }

        stage.Settle();
        Assert.All(waiting, c => Assert.EndsWith("ok", c.Heard, StringComparison.Ordinal));
        Assert.Equal(1_024, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void A_stale_connection_costs_a_get_nothing_and_a_post_a_502()
    {
        foreach (var (method, answered) in new[] { ("GET", true), ("POST", false) })
        {
            var stage = new Stage();
            var client = stage.Client(Get);
            var stale = stage.NextAtWorker();
            stale.Say(Ok);
            stage.Settle();
            client.Say($"{method} /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            stage.Settle();
            Assert.Contains("/2 HTTP/1.1", stale.Heard, StringComparison.Ordinal);
            stale.Socket.Close();
            stage.Settle();
            Assert.Equal(answered, stage.HasMoreAtWorkers);
            Assert.Equal(answered, !client.Heard.Contains("HTTP/1.1 502", StringComparison.Ordinal));
            Assert.Equal(answered ? 0 : 1, stage.Workers[0].Failures);
        }
    }

    [Fact]
    public void A_request_whose_client_left_while_it_waited_reaches_no_worker()
    {
        var stage = new Stage();
        stage.Pool.Publish(WorkerSet.Empty);
        var client = stage.Client(Get);
        var stays = stage.Client(Get);
        client.Socket.Close();
        stage.Settle();
        stage.Pool.Publish(new WorkerSet(stage.Workers, []));
        stage.Proxy.OnPublished(stage.Pool);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        Assert.False(stage.HasMoreAtWorkers);
        Assert.EndsWith("ok", stays.Heard, StringComparison.Ordinal);
        Assert.Equal(1, stage.Of(Outcome.ClientAborted));
    }

    [Fact]
    public void A_draining_worker_keeps_its_sessions_and_gets_no_new_ones()
    {
        var stage = new Stage(sticky: new StickySettings("FASTLB", null), workers: 2);
        var first = stage.Client(Get);
        var at = stage.NextAtWorker();
        at.Say(Ok);
        stage.Settle();
        var cookie = first.Heard.Split("Set-Cookie: ")[1].Split(';')[0];
        var kept = stage.Workers.First(w => w.Endpoint.Equals(at.Endpoint));
        stage.Pool.Publish(new WorkerSet(stage.Workers.Where(w => w != kept), [kept]));
        for (var i = 0; i < 4; i++)
        {
            stage.Client($"GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
            stage.Client(Get);
            Assert.Equal(2 + i, kept.Requests);
            Assert.Equal(1 + i, stage.Workers.First(w => w != kept).Requests);
        }
    }

    [Fact]
    public void An_early_refusal_reaches_a_client_that_is_still_sending()
    {
        var stage = new Stage();
        var client = stage.Client($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{new string('b', 1_000)}");
        var worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
        stage.Settle();
        Assert.Contains("Connection: close\r\n\r\nno", client.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", client.End);

        // What it sends now is read and thrown away; closing over it would reset the connection and the answer with it.
        client.Say(new string('b', 50_000));
        stage.Settle();
        Assert.Equal(0, client.Socket.Incoming.ResetArrived ? 1 : 0);
        Assert.NotEqual("open", worker.End);
        stage.Pass(2_001);
        Assert.Equal(0, stage.Loop.OpenPeers);
        Assert.Equal(1, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void A_body_that_nobody_read_is_never_taken_for_the_next_request()
    {
        var stage = new Stage();
        const string Smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        var client = stage.Client($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {Smuggled.Length + 10}\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();
        client.Say(Smuggled);
        stage.Settle();
        stage.Pass(5_000);
        Assert.False(stage.HasMoreAtWorkers);
        Assert.DoesNotContain("smuggled", worker.Heard, StringComparison.Ordinal);
        Assert.Single(client.Heard.Split("HTTP/1.1 200").Skip(1));
    }

    [Fact]
    public void Bytes_that_follow_a_refused_upgrade_are_a_request_and_not_a_tunnel()
    {
        var stage = new Stage();
        var client = stage.Client("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a:b:c\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();
        Assert.DoesNotContain("smuggled", worker.Heard, StringComparison.Ordinal);
        Assert.Contains("HTTP/1.1 400 ", client.Heard, StringComparison.Ordinal);
        Assert.False(stage.HasMoreAtWorkers);
    }

    [Fact]
    public void A_worker_that_opens_a_tunnel_unasked_is_refused()
    {
        var stage = new Stage();
        var client = stage.Client(Get);
        stage.NextAtWorker().Say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        stage.Settle();
        Assert.StartsWith("HTTP/1.1 502 ", client.Heard, StringComparison.Ordinal);
        Assert.Equal(1, stage.Of(Outcome.WorkerMalformed));
    }

    [Fact]
    public void A_head_that_trickles_is_given_up_at_its_deadline_however_busy_it_is()
    {
        var stage = new Stage();
        var client = stage.Client("GET / HTTP/1.1\r\n");
        for (var passed = 0; passed < Timeouts.Default.HeadMs; passed += 1_000)
        {
            Assert.Equal("open", client.End);
            client.Say("X: y\r\n");
            stage.Pass(1_000);
        }

        Assert.StartsWith("HTTP/1.1 408 ", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_connection_with_bytes_behind_its_answer_is_not_used_again()
    {
        foreach (var (behind, isUsedAgain) in new[] { ("", true), ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", false) })
        {
            var stage = new Stage();
            var client = stage.Client(Get);
            var worker = stage.NextAtWorker();
            worker.Say(Ok + behind);
            stage.Settle();
            client.Say(Get);
            stage.Settle();
            Assert.Equal(isUsedAgain, worker.Heard.Split("GET / HTTP").Length == 3);
            Assert.Equal(!isUsedAgain, stage.HasMoreAtWorkers);
            Assert.DoesNotContain("forged", client.Heard, StringComparison.Ordinal);
        }
    }
}
