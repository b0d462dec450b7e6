using System.Text.RegularExpressions;
using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Simulation;

/// <summary>Clients that do not wait for their answers: what is sent ahead, what waits, and the order in which answers leave.</summary>
public sealed partial class PipelineScenarioTests
{
    [Fact]
    public void Requests_that_wait_are_sent_in_one_piece_and_their_answers_leave_in_one()
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var sends = stage.Loop.Sends;
        var client = stage.Client(Gets(1, 2, 3, 4));
        Assert.Equal("1 2 3 4", worker.Asked());
        worker.Say(Answers(1, 2, 3, 4));
        stage.Settle();
        Assert.Equal("200:1 200:2 200:3 200:4", client.Answers());
        Assert.Equal(2, stage.Loop.Sends - sends);
        Assert.Equal(4 + 1, stage.Of(Outcome.Completed));
        Assert.Equal(4 + 1, stage.Workers[0].Requests);
        Assert.Equal(0, stage.Workers[0].InFlight);
        Assert.Equal(0, stage.Loop.Buffers.Rented);

        // The connection is as good as before, for this client and any other.
        stage.Client(Gets(5));
        Assert.Equal("1 2 3 4 5", worker.Asked());
    }

    [Fact]
    public void An_answer_does_not_wait_for_one_that_has_not_come()
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2));
        worker.Say(Answers(1));
        stage.Settle();
        Assert.Equal("200:1", client.Answers());
        worker.Say(Answers(2));
        stage.Settle();
        Assert.Equal("200:1 200:2", client.Answers());
    }

    [Fact]
    public void A_worker_that_has_kept_no_connection_yet_gets_one_request_at_a_time()
    {
        foreach (var (first, isPipelined) in new[]
        {
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", false),
        })
        {
            var stage = new Stage();
            var client = stage.Client(Gets(1, 2, 3));
            var worker = new PipelineWorker(stage.NextAtWorker());
            Assert.Equal("1", worker.Asked());
            worker.Say(first);
            stage.Settle();
            Assert.Equal(isPipelined ? "1 2 3" : "1 2", worker.Asked());
            Assert.Equal("200:", client.Answers());
        }
    }

    [Theory]
    [InlineData("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("PATCH /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")]
    [InlineData("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")]
    [InlineData("GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")]
    [InlineData("GET /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")]
    [InlineData("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")]
    public void A_request_that_is_not_safe_to_run_ahead_waits_until_all_before_it_are_answered(string request)
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2) + request + Gets(3));
        Assert.Equal("1 2", worker.Asked());
        worker.Say(Answers(1));
        stage.Settle();
        Assert.Equal("1 2", worker.Asked());
        worker.Say(Answers(2));
        stage.Settle();
        Assert.Equal("1 2 x", worker.Asked());
        Assert.Equal("200:1 200:2", client.Answers());
    }

    [Fact]
    public void No_more_run_ahead_than_the_pool_allows()
    {
        foreach (var (depth, ahead) in new[] { (1, 1), (2, 2), (16, 16), (64, 40) })
        {
            var stage = new Stage(pipelineDepth: depth);
            var worker = Warm(stage)[0];
            var ids = Enumerable.Range(1, 40).ToArray();
            var client = stage.Client(Gets(ids));
            for (var done = 0; done < ids.Length; done += ahead)
            {
                var next = ids.Skip(done).Take(ahead).ToArray();
                Assert.Equal(string.Join(' ', ids.Take(done + next.Length)), worker.Asked());
                worker.Say(Answers(next));
                stage.Settle();
            }

            Assert.Equal(string.Join(' ', ids.Select(i => $"200:{i}")), client.Answers());
            Assert.Equal(depth == 1, stage.Proxy.Metrics.PipelinedRequests == 0);
        }
    }

    [Fact]
    public void What_waits_behind_another_does_not_wait_for_its_body_when_it_goes_to_another_worker()
    {
        var stage = new Stage(workers: 2);
        var workers = Warm(stage);
        var client = stage.Client(Gets(1, 2, 3, 4));
        var first = workers.Single(w => w.Asked() == "1 2");
        var second = workers.Single(w => w.Asked() == "3 4");
        second.Say(Answers(3, 4));
        stage.Settle();
        Assert.Equal("", client.Answers());
        first.Say(Answers(1));
        stage.Settle();
        Assert.Equal("200:1", client.Answers());
        first.Say(Answers(2));
        stage.Settle();
        Assert.Equal("200:1 200:2 200:3 200:4", client.Answers());
        Assert.All(stage.Workers, w => Assert.Equal(0, w.InFlight));
    }

    [Fact]
    public void A_lane_that_cannot_be_opened_gives_the_others_no_more_than_they_may_have()
    {
        var stage = new Stage(workers: 2, pipelineDepth: 3);
        var workers = Warm(stage);
        var closing = workers.Single(w => w.Endpoint!.Equals(stage.Workers[0].Endpoint));
        var other = workers.Single(w => w != closing);
        closing.Socket.Close();
        stage.Settle();
        for (var i = 0; i < 2 && other.Asked().Length == 0; i++)
        {
            // Whose turn it is decides whether the first request goes alone to the worker without a connection.
            stage.Client(Gets(1, 2, 3, 4, 5, 6, 7, 8));
        }

        Assert.Equal("1 2 3", other.Asked());
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void A_worker_that_is_new_is_not_passed_over_for_want_of_a_connection(int workers)
    {
        var stage = new Stage(workers: workers);
        var first = Warm(stage);
        var replacement = Stage.MakeWorker(0, 2);
        stage.Pool.Publish(new WorkerSet([replacement, .. stage.Workers.Skip(1)], []));
        var all = first.Where(w => !w.Endpoint!.Equals(stage.Workers[0].Endpoint)).ToList();
        var client = stage.Client();
        for (var round = 0; round < 6; round++)
        {
            client.Say(Gets(1, 2, 3, 4));
            for (var i = 0; i < 8; i++)
            {
                stage.Settle();
                while (stage.HasMoreAtWorkers)
                {
                    all.Add(new PipelineWorker(stage.NextAtWorker()));
                }

                foreach (var worker in all)
                {
                    worker.Say(Answers([.. worker.Asked().Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)]), isEmptyAllowed: true);
                    worker.Forget();
                }
            }
        }

        Assert.Equal(string.Join(' ', Enumerable.Repeat("200:1 200:2 200:3 200:4", 6)), client.Answers());

        // Of 24 requests it gets about its share, less what it was sent one by one at first.
        Assert.InRange(replacement.Requests, 24 / workers / 2, 24);
        Assert.True(stage.Proxy.Metrics.PipelinedRequests > 0);
    }

    [Fact]
    public void Of_answers_that_come_before_their_turn_no_more_than_a_buffer_is_held()
    {
        var stage = new Stage(workers: 2);
        var workers = Warm(stage);
        var client = stage.Client(Gets(1, 2));
        var early = workers.Single(w => w.Asked() == "2");
        var body = new string('b', 200_000);
        early.Say($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        stage.Settle();
        Assert.InRange(early.Socket.Outgoing.Arrived.Count, body.Length - BufferPool.LargeCapacity, body.Length);
        workers.Single(w => w != early).Say(Answers(1));
        stage.Settle();
        Assert.EndsWith(body, client.Heard, StringComparison.Ordinal);
        Assert.Equal(0, stage.Loop.Buffers.Rented);
    }

    [Fact]
    public void Answers_of_the_balancers_own_keep_their_place()
    {
        var stage = new Stage(path: "/r");
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2) + "GET /none HTTP/1.1\r\nHost: a\r\n\r\n" + Gets(3, 4) + "GET / HTTP/1.1\r\n\r\n" + Gets(5));
        worker.Say(Answers(1, 2));
        stage.Settle();
        Assert.Equal("1 2 3 4", worker.Asked());
        worker.Say(Answers(3, 4));
        stage.Settle();
        Assert.Equal("200:1 200:2 404:404 200:3 200:4 400:400", client.Answers());
        Assert.Equal("ended", client.End);
        Assert.Equal("1 2 3 4", worker.Asked());
    }

    [Fact]
    public void Answers_that_do_not_go_out_in_one_piece_keep_their_place()
    {
        var body = new string('b', 150_000);
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2, 3, 4, 5) + "HEAD /r6 HTTP/1.1\r\nHost: a\r\n\r\n" + Gets(7));
        Assert.Equal("1 2 3 4 5 6 7", worker.Asked());
        worker.Say(Answers(1) + $"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body[..100]}");
        stage.Settle();
        worker.Say(body[100..] + "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Le");
        stage.Settle();
        worker.Say("ngth: 1\r\n\r\n4HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + Answers(7));
        stage.Settle();
        Assert.Equal($"200:1 200:{body} 200:3 103: 200:4 204: 200: 200:7", client.Answers(headAt: 6));
        Assert.Equal("open", worker.End);
        Assert.Equal(0, stage.Loop.Buffers.Rented);
        stage.Client(Gets(8));
        Assert.Equal("1 2 3 4 5 6 7 8", worker.Asked());
    }

    [Fact]
    public void A_session_stays_at_its_worker_with_all_that_it_asks_at_once()
    {
        var stage = new Stage(workers: 2, sticky: new StickySettings("FASTLB", null));
        var workers = Warm(stage);
        var cookies = workers.Select(w => CookieOf(stage, w)).ToArray();
        string Get(int id, int session) => $"GET /r{id} HTTP/1.1\r\nHost: a\r\nCookie: {cookies[session]}\r\n\r\n";
        foreach (var worker in workers)
        {
            worker.Forget();
        }

        var client = stage.Client(Get(1, 1) + Get(2, 1) + Get(3, 0) + Get(4, 0));
        Assert.Equal("1 2", workers[1].Asked());
        Assert.Equal("", workers[0].Asked());
        workers[1].Say(Answers(1, 2));
        stage.Settle();
        Assert.Equal("3 4", workers[0].Asked());
        workers[0].Say(Answers(3, 4));
        stage.Settle();
        Assert.Equal("200:1 200:2 200:3 200:4", client.Answers());
        Assert.DoesNotContain("Set-Cookie", client.Heard, StringComparison.Ordinal);

        // Who has no session yet gets one, and only one.
        var fresh = stage.Client(Gets(5, 6, 7));
        var chosen = workers.Single(w => w.Asked().EndsWith("5 6 7", StringComparison.Ordinal));
        chosen.Say(Answers(5, 6, 7));
        stage.Settle();
        Assert.Equal(3, Regex.Count(fresh.Heard, "Set-Cookie"));
        Assert.Single(Regex.Matches(fresh.Heard, "Set-Cookie: [^;]*").Select(m => m.Value).Distinct());
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void A_client_that_ends_behind_its_requests_gets_all_answers_and_then_the_end(bool isSecondInChunks, bool isThirdInChunks)
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2, 3));
        client.Socket.ShutdownWrite();
        stage.Settle();
        worker.Say(Answers(1) + (isSecondInChunks ? Chunked(2) : Answers(2)));
        stage.Settle();
        worker.Say(isThirdInChunks ? Chunked(3) : Answers(3));
        stage.Settle();
        Assert.Equal("200:1 200:2 200:3", client.Answers());
        Assert.Equal("ended", client.End);
        Assert.Single(Regex.Matches(client.Heard, "Connection: close"));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void A_drain_lets_all_that_ran_ahead_be_answered_and_closes_behind_the_last(bool isSecondInChunks, bool isThirdInChunks)
    {
        var stage = new Stage();
        var worker = Warm(stage)[0];
        var client = stage.Client(Gets(1, 2, 3));
        stage.Proxy.BeginDrain(1);
        worker.Say(Answers(1) + (isSecondInChunks ? Chunked(2) : Answers(2)));
        worker.Say(isThirdInChunks ? Chunked(3) : Answers(3));
        stage.Settle();
        Assert.Equal("200:1 200:2 200:3", client.Answers());
        Assert.EndsWith(isThirdInChunks ? "Connection: close\r\n\r\n1\r\n3\r\n0\r\n\r\n" : "Connection: close\r\n\r\n3", client.Heard, StringComparison.Ordinal);
        Assert.Single(Regex.Matches(client.Heard, "Connection: close"));
        Assert.Equal("ended", client.End);
    }

    /// <summary>Lets every worker answer once, so that each has an idle connection that is known to stay. Returns them.</summary>
    internal static PipelineWorker[] Warm(Stage stage)
    {
        var path = stage.Workers.Length;
        for (var i = 0; i < path; i++)
        {
            stage.Client("GET /r0 HTTP/1.1\r\nHost: a\r\n\r\n");
        }

        var workers = stage.Workers.Select(_ => new PipelineWorker(stage.NextAtWorker())).ToArray();
        foreach (var worker in workers)
        {
            worker.Say(Answers(0));
        }

        stage.Settle();
        Assert.False(stage.HasMoreAtWorkers);
        foreach (var worker in workers)
        {
            Assert.Equal("0", worker.Asked());
            worker.Forget();
        }

        return workers;
    }

    internal static string Gets(params int[] ids) => string.Concat(ids.Select(id => $"GET /r{id} HTTP/1.1\r\nHost: a\r\n\r\n"));

    internal static string Chunked(int id) =>
        $"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{id}\r\n0\r\n\r\n";

    internal static string Answers(params int[] ids) =>
        string.Concat(ids.Select(id => $"HTTP/1.1 200 OK\r\nContent-Length: {id.ToString().Length}\r\n\r\n{id}"));

    private static string CookieOf(Stage stage, PipelineWorker worker)
    {
        // Round robin: one of as many requests as there are workers comes to this one.
        for (var i = 0; i < stage.Workers.Length; i++)
        {
            var client = stage.Client(Gets(0));
            if (worker.Asked() == "0")
            {
                worker.Say(Answers(0));
                stage.Settle();
                worker.Forget();
                return client.Heard.Split("Set-Cookie: ")[1].Split(';')[0];
            }

            client.Socket.Close();
            stage.Settle();
        }

        throw new InvalidOperationException("no request came to this worker");
    }
}

/// <summary>A worker's end of a connection in these scenes.</summary>
internal sealed class PipelineWorker(StageSocket socket)
{
    private int _forgotten;

    internal SimSocket Socket => socket.Socket;

    internal string End => socket.End;

    internal Endpoint? Endpoint => socket.Endpoint;

    internal void Say(string text, bool isEmptyAllowed = false)
    {
        Assert.True(isEmptyAllowed || text.Length > 0);
        if (text.Length > 0)
        {
            socket.Say(text);
        }
    }

    /// <summary>The ids of the requests that have come so far: of <c>GET /r7</c> it is <c>7</c>, of <c>/x</c> it is <c>x</c>.</summary>
    internal string Asked() =>
        string.Join(' ', Regex.Matches(socket.Heard[_forgotten..], @"^[A-Z]+ /r?(\S*) HTTP/1.1\r$", RegexOptions.Multiline).Select(m => m.Groups[1].Value));

    /// <summary>Closes when everything was read, so that what it said still arrives.</summary>
    internal void Close()
    {
        Assert.NotEmpty(socket.Heard);
        socket.Socket.Close();
    }

    internal void Forget() => _forgotten = socket.Heard.Length;
}

internal static class PipelineClient
{
    /// <summary>What has come whole, as status and body; of the balancer's own answers only the status.</summary>
    internal static string Answers(this StageSocket client, int headAt = -1)
    {
        var rest = client.Heard;
        List<string> answers = [];
        while (rest.Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            var end = rest.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
            var head = rest[..end];
            var status = head.Split(' ')[1];
            var body = "";
            if (head.Contains("Transfer-Encoding: chunked", StringComparison.Ordinal))
            {
                var last = rest.IndexOf("0\r\n\r\n", end, StringComparison.Ordinal);
                if (last < 0)
                {
                    break;
                }

                body = Regex.Replace(rest[end..last], "[0-9a-f]+\r\n(.*?)\r\n", "$1", RegexOptions.Singleline);
                end = last + 5;
            }
            else if (answers.Count != headAt && Regex.Match(head, @"Content-Length: (\d+)") is { Success: true } length)
            {
                var count = int.Parse(length.Groups[1].Value);
                if (rest.Length - end < count)
                {
                    break;
                }

                body = rest[end..(end + count)];
                end += count;
            }

            answers.Add($"{status}:{(head.Contains("text/plain; charset=utf-8", StringComparison.Ordinal) ? status : body)}");
            rest = rest[end..];
        }

        return string.Join(' ', answers);
    }
}
