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
        Assert.Equal(1, stage.Proxy.Pools[0].Of(Outcome.ClientMalformed));
        Assert.Equal(1, stage.Proxy.Pools[0].Requests);
    }

    [Fact]
    public void Pipelined_requests_that_overflow_one_buffer_are_all_answered()
    {
        // The first receive brings a piece of a head, the next as much as a buffer takes: together they are more than one.
        var stage = new Stage();
        var padding = new string('x', 300);
        var request = $"GET / HTTP/1.1\r\nHost: a\r\nX-Padding: {padding}\r\n\r\n";
        const int Count = 200;
        var all = string.Concat(Enumerable.Repeat(request, Count));
        Assert.InRange(all.Length, BufferPool.LargeCapacity, 2 * BufferPool.LargeCapacity);
        var client = stage.Client(all[..100]);
        client.Say(all[100..]);
        var worker = stage.NextAtWorker();
        for (var i = 0; i < Count; i++)
        {
            Assert.Equal(i + 1, worker.Heard.Split("GET / HTTP").Length - 1);
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
        var hints = string.Concat(Enumerable.Repeat($"HTTP/1.1 103 Early Hints\r\nX-Padding: {new string('x', 300)}\r\n\r\n", 200));
        worker.Say(hints[..100]);
        stage.Settle();
        worker.Say(hints[100..] + Ok);
        stage.Settle();
        Assert.Equal(200, client.Heard.Split("HTTP/1.1 103").Length - 1);
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
}
