using FastLB.Core.Metrics;
using static FastLB.Simulation.PipelineScenarioTests;

namespace FastLB.Simulation;

/// <summary>What counts as the duration of a request, on a clock that only the scene moves.</summary>
public sealed class LatencyScenarioTests
{
    [Fact]
    public void A_request_lasts_from_its_whole_head_to_the_last_byte_of_its_answer()
    {
        var stage = new Stage();
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\n");
        stage.Pass(700);
        client.Say("Content-Length: 2\r\n\r\n");
        stage.Settle();
        stage.Pass(100);
        client.Say("hi");
        var worker = stage.NextAtWorker();
        stage.Pass(150);
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
        stage.Settle();
        stage.Pass(50);
        Assert.Equal(0, Measured(stage).Count);
        worker.Say("k");
        stage.Settle();
        stage.Pass(1_000);
        Assert.Equal([300], Milliseconds(stage));
    }

    [Fact]
    public void Requests_that_ran_ahead_last_until_their_own_answers_have_left()
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        stage.Client(Gets(1, 2, 3));
        stage.Pass(100);
        worker.Say(Answers(1));
        stage.Settle();
        stage.Pass(200);

        // The second leaves by itself, because it has no length of its own; the third behind it.
        worker.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n");
        stage.Settle();
        stage.Pass(400);
        worker.Say("0\r\n\r\n" + Answers(3));
        stage.Settle();
        Assert.Equal([0, 100, 700, 700], Milliseconds(stage));
    }

    [Fact]
    public void What_was_refused_or_became_a_tunnel_or_was_not_answered_has_no_duration()
    {
        var stage = new Stage();
        stage.Client("GET / HTTP/1.1\r\n\r\n");
        var tunnel = stage.Client("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        stage.Settle();
        worker.Socket.Close();
        tunnel.Socket.Close();
        stage.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        stage.Pass(120_000);
        Assert.Equal(3, stage.Outcomes);
        Assert.Equal(0, Measured(stage).Count);
    }

    private static HistogramSnapshot Measured(Stage stage) => stage.Proxy.Metrics.RequestNanoseconds.Snapshot();

    /// <summary>All durations, from short to long, in whole milliseconds of the stage's clock.</summary>
    private static long[] Milliseconds(Stage stage)
    {
        var measured = Measured(stage);
        return [.. Enumerable.Range(1, (int)measured.Count).Select(rank => measured.Percentile(rank / (double)measured.Count) / 1_000_000)];
    }
}
