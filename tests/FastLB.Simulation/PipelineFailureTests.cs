using System.Text.RegularExpressions;
using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using static FastLB.Simulation.PipelineScenarioTests;

namespace FastLB.Simulation;

/// <summary>What happens to requests that ran ahead when their worker, their client or the time does not play along.</summary>
public sealed class PipelineFailureTests
{
    private const string Closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n";

    [Fact]
    public void Behind_a_polite_close_the_rest_is_sent_again_at_no_cost()
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2, 3, 4));
        SpendBudget(stage);
        worker.Say(Answers(1) + Closing + "2");
        worker.Close();
        for (var id = 3; id <= 4; id++)
        {
            var next = new PipelineWorker(stage.NextAtWorker());
            Assert.Equal($"{id}", next.Asked());
            next.Say(Closing + id);
            next.Close();
        }

        stage.Settle();
        Assert.Equal("200:1 200:2 200:3 200:4", client.Answers());
        Assert.Equal(0, stage.Workers[0].Failures);
        Assert.Equal(5, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void A_worker_that_closed_the_idle_connection_meanwhile_costs_nothing_either()
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2));
        SpendBudget(stage);
        worker.Close();
        stage.NextAtWorker().Say(Answers(1));
        stage.NextAtWorker().Say(Answers(2));
        stage.Settle();
        Assert.Equal("200:1 200:2", client.Answers());
        Assert.Equal(0, stage.Workers[0].Failures);
    }

    [Fact]
    public void Of_a_worker_that_dies_in_the_middle_the_rest_goes_to_another_one_within_the_budget()
    {
        foreach (var hasBudget in new[] { true, false })
        {
            var stage = new Stage(workers: 2, pipelineDepth: 8);
            var workers = Warm(stage);
            var client = stage.Client(Gets(1, 2, 3, 4, 5, 6));
            if (!hasBudget)
            {
                SpendBudget(stage);
            }

            var dying = workers.Single(w => w.Asked() == "1 2 3");
            var other = workers.Single(w => w.Asked() == "4 5 6");
            dying.Say(Answers(1));
            stage.Settle();
            dying.Socket.Close(reset: true);
            stage.Settle();
            var failed = stage.Workers.Single(w => w.Endpoint.Equals(dying.Endpoint));
            Assert.Equal(2, failed.Failures);
            if (hasBudget)
            {
                var next = stage.NextAtWorker();
                Assert.Equal(other.Endpoint, next.Endpoint);
                Assert.Contains("GET /r2 HTTP", next.Heard, StringComparison.Ordinal);
                next.Say(Answers(2));
                var another = stage.NextAtWorker();
                Assert.Equal(other.Endpoint, another.Endpoint);
                another.Say(Answers(3));
            }

            other.Say(Answers(4, 5, 6));
            stage.Settle();
            Assert.Equal(hasBudget ? "200:1 200:2 200:3 200:4 200:5 200:6" : "200:1 502:502 502:502 200:4 200:5 200:6", client.Answers());
            Assert.Equal(6 + 2, stage.Outcomes);
            Assert.Equal(hasBudget ? 0 : 2, stage.Of(Outcome.WorkerClosed));
        }
    }

    [Fact]
    public void Requests_that_a_dying_worker_did_not_take_are_sent_to_another_connection_at_no_cost()
    {
        var stage = new Stage(mood: new NetworkMood { WorkerSocketBytes = 300 });
        var worker = Warm(stage)[0];
        var ids = Enumerable.Range(1, 8).ToArray();
        var client = stage.Client(Gets(ids));
        SpendBudget(stage);
        worker.Say(Answers(1));
        stage.Settle();
        worker.Socket.Close(reset: true);
        stage.Settle();
        while (stage.HasMoreAtWorkers)
        {
            var next = new PipelineWorker(stage.NextAtWorker());
            next.Say(Answers(int.Parse(next.Asked())));
            stage.Settle();
        }

        // The kernel had taken 300 bytes: the first two requests, and the beginning of the third.
        Assert.Equal("200:1 502:502 502:502 200:4 200:5 200:6 200:7 200:8", client.Answers());
    }

    [Fact]
    public void A_worker_whose_connection_broke_gets_requests_one_by_one_for_a_minute()
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        stage.Client(Gets(1, 2));
        worker.Close();
        stage.NextAtWorker().Say(Answers(1));
        var fresh = new PipelineWorker(stage.NextAtWorker());
        fresh.Say(Answers(2));
        stage.Settle();
        stage.Client(Gets(3, 4));
        Assert.Equal("2 3", fresh.Asked());
        fresh.Say(Answers(3));
        stage.Settle();
        Assert.Equal("2 3 4", fresh.Asked());
        fresh.Say(Answers(4));
        stage.Settle();
        stage.Pass(60_001);
        Assert.Equal("ended", fresh.End);
        var later = Warm(stage)[0];
        stage.Client(Gets(5, 6));
        Assert.Equal("5 6", later.Asked());
    }

    [Fact]
    public void A_malformed_answer_gets_502_in_its_place_and_what_follows_it_there_is_not_believed()
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2, 3));
        worker.Say(Answers(1) + "HTTP/1.1 2OO OK\r\n\r\n" + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        var next = stage.NextAtWorker();
        Assert.Contains("GET /r3 HTTP", next.Heard, StringComparison.Ordinal);
        next.Say(Answers(3));
        stage.Settle();
        Assert.Equal("200:1 502:502 200:3", client.Answers());
        Assert.Equal(1, stage.Of(Outcome.WorkerMalformed));
        Assert.Equal("reset", worker.End);
    }

    [Fact]
    public void An_answer_that_breaks_off_cuts_the_client_and_what_had_left_stays()
    {
        var stage = new Stage(workers: 2);
        var workers = Warm(stage);
        var client = stage.Client(Gets(1, 2, 3, 4));
        var dying = workers.Single(w => w.Asked() == "1 2");
        dying.Say(Answers(1) + "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        stage.Settle();
        Assert.EndsWith("half", client.Heard, StringComparison.Ordinal);
        dying.Close();
        stage.Settle();
        Assert.Equal("200:1", client.Answers());
        Assert.Equal("reset", client.End);
        Assert.False(stage.HasMoreAtWorkers);
        Assert.Equal("reset", workers.Single(w => w != dying).End);
        Assert.All(stage.Workers, w => Assert.Equal(0, w.InFlight));
        Assert.Equal(3, stage.Of(Outcome.WorkerTruncated));
        Assert.Equal(4 + 2, stage.Outcomes);
    }

    [Fact]
    public void Part_of_an_answers_head_is_no_answer()
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2, 3));
        worker.Say(Answers(1) + "HTTP/1.1 20");
        worker.Close();
        var next = stage.NextAtWorker();
        Assert.Contains("GET /r3 HTTP", next.Heard, StringComparison.Ordinal);
        next.Say(Answers(3));
        stage.Settle();
        Assert.Equal("200:1 502:502 200:3", client.Answers());
    }

    [Fact]
    public void A_client_that_leaves_gives_up_everything_that_was_sent_for_it()
    {
        foreach (var isAnswering in new[] { false, true })
        {
            var stage = new Stage(workers: 2);
            var workers = Warm(stage);
            var client = stage.Client(Gets(1, 2, 3, 4));
            if (isAnswering)
            {
                workers.Single(w => w.Asked() == "1 2").Say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
                stage.Settle();
            }

            client.Socket.Close(reset: true);
            stage.Settle();
            Assert.All(workers, w => Assert.Equal("reset", w.End));
            Assert.Equal(4, stage.Of(Outcome.ClientAborted));
            Assert.All(stage.Workers, w => Assert.Equal((0, 0), (w.InFlight, w.Failures)));
            Assert.Equal(0, stage.Loop.Buffers.Rented);

            // Nobody gets the answers that were on their way, and nothing is held against the workers.
            var late = stage.Client(Gets(5, 6));
            stage.NextAtWorker().Say(Answers(5));
            stage.NextAtWorker().Say(Answers(6));
            stage.Settle();
            Assert.Equal("200:5 200:6", late.Answers());
        }
    }

    [Fact]
    public void A_connection_with_bytes_behind_its_last_answer_is_not_used_again()
    {
        foreach (var behind in new[] { "", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged" })
        {
            var stage = new Stage();
            var worker = Warm(stage)[0];
            var client = stage.Client(Gets(1, 2));
            worker.Say(Answers(1, 2) + behind);
            stage.Settle();
            stage.Client(Gets(3));
            Assert.Equal(behind.Length > 0, stage.HasMoreAtWorkers);
            Assert.Equal("200:1 200:2", client.Answers());
        }
    }

    [Fact]
    public void A_connection_that_its_worker_is_about_to_let_go_is_not_used_again()
    {
        foreach (var (seconds, isUsedAgain) in new[] { (1, false), (5, true) })
        {
            var stage = new Stage();
            var worker = Warm(stage)[0];
            stage.Client(Gets(1, 2));
            worker.Say(Answers(1) + $"HTTP/1.1 200 OK\r\nKeep-Alive: timeout={seconds}\r\nContent-Length: 1\r\n\r\n2");
            stage.Settle();
            stage.Client(Gets(3));
            Assert.Equal(isUsedAgain ? "1 2 3" : "1 2", worker.Asked());
        }
    }

    [Fact]
    public void When_a_lane_breaks_its_workers_idle_connections_are_not_trusted_any_more()
    {
        var stage = new Stage();
        stage.Client(Gets(0));
        stage.Client(Gets(0));
        PipelineWorker[] workers = [new(stage.NextAtWorker()), new(stage.NextAtWorker())];
        workers[0].Say(Answers(0));
        workers[1].Say(Answers(0));
        stage.Settle();
        stage.Client(Gets(1, 2));
        var broken = workers.Single(w => w.Asked() == "0 1 2");
        broken.Close();
        stage.Settle();
        var idle = workers.Single(w => w != broken);
        Assert.Equal("0", idle.Asked());
        Assert.Equal("ended", idle.End);
    }

    [Fact]
    public void A_worker_that_is_silent_gets_504_for_the_one_it_owes_and_the_rest_is_asked_elsewhere()
    {
        var stage = new Stage(new Timeouts { ResponseMs = 1_000, BodyMs = 500 });
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2, 3));
        stage.Pass(900);
        worker.Say(Answers(1));
        stage.Settle();
        stage.Pass(900);
        Assert.Equal("200:1", client.Answers());
        stage.Pass(101);
        var next = stage.NextAtWorker();
        Assert.Contains("GET /r3 HTTP", next.Heard, StringComparison.Ordinal);
        next.Say(Answers(3));
        stage.Settle();
        Assert.Equal("200:1 504:504 200:3", client.Answers());
        Assert.Equal(1, stage.Of(Outcome.WorkerTimeout));
    }

    [Fact]
    public void A_lane_whose_turn_has_not_come_is_not_held_to_the_time_of_another()
    {
        var stage = new Stage(new Timeouts { ResponseMs = 1_000 }, workers: 2);
        var workers = Warm(stage);
        var client = stage.Client(Gets(1, 2));
        var first = workers.Single(w => w.Asked() == "1");
        first.Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        foreach (var character in "abcde")
        {
            stage.Pass(900);
            first.Say(character.ToString());
        }

        stage.Settle();
        stage.Pass(500);
        workers.Single(w => w != first).Say(Answers(2));
        stage.Settle();
        Assert.Equal("200:abcde 200:2", client.Answers());
    }

    [Fact]
    public void A_client_that_takes_no_answers_is_given_up()
    {
        var stage = new Stage(new Timeouts { BodyMs = 1_000 }, mood: new NetworkMood { SocketBytes = 200 });
        var worker = Warm(stage)[0];
        stage.Client(Gets(1, 2, 3));
        worker.Say(string.Concat(Enumerable.Repeat($"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n{new string('b', 300)}", 3)));
        stage.Settle();
        stage.Pass(2_001);
        Assert.Equal(3, stage.Of(Outcome.ClientTimeout));
        Assert.Equal(0, stage.Loop.Buffers.Rented);
    }

    [Fact]
    public void Without_a_buffer_for_the_heads_requests_go_one_by_one()
    {
        var stage = new Stage(buffers: new BufferPool(largeLimit: 1, smallLimit: 40));
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2));
        Assert.Equal("1", worker.Asked());
        worker.Say(Answers(1));
        stage.Settle();
        worker.Say(Answers(2));
        stage.Settle();
        Assert.Equal("200:1 200:2", client.Answers());
    }

    private static void SpendBudget(Stage stage)
    {
        while (stage.Proxy.Pools[0].Budget.TryWithdraw(stage.Loop.NowMs))
        {
        }
    }
}
