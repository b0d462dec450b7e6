using System.Text;
using FastLB.Core;
using FastLB.Core.Forwarding;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;

namespace FastLB.Simulation;

/// <summary>What is written down of requests: lines of the access log, and the stories of those that failed.</summary>
public sealed class RecordingScenarioTests
{
    private const string Get = "GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nReferer: http://r/\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private static readonly AccessLogFilter s_all = new();

    [Fact]
    public void A_request_is_one_record_with_what_was_asked_and_what_became_of_it()
    {
        var stage = Recording();
        var client = stage.Client(Get);
        stage.Pass(7);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        var record = Assert.Single(Records(stage));
        Assert.Equal("GET /a?b|http://r/|test|app|127.0.0.1:8000", record.Texts);
        var facts = record.Facts;
        Assert.Equal((200, Outcome.Completed, 0, 0), (facts.Status, facts.Outcome, facts.Slot, facts.Route));
        Assert.Equal((0, 0, 7_000_000, 7_000_000), (facts.QueueNs, facts.ConnectNs, facts.FirstByteNs, facts.TotalNs));
        Assert.Equal((Get.Length, client.Heard.Length), (facts.BytesIn, facts.BytesOut));
        Assert.NotEqual(0UL, facts.Id);
        Assert.Empty(stage.Proxy.Recorder.Failures.Latest(10));
    }

    [Fact]
    public void Without_an_access_log_nothing_is_written()
    {
        var stage = new Stage();
        stage.Proxy.Recorder.Ring = new RecordRing(64 * 1024);
        stage.Client(Get);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        Assert.Empty(Records(stage));
    }

    [Fact]
    public void A_body_counts_in_both_directions()
    {
        var stage = Recording();
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
        var worker = stage.NextAtWorker();
        client.Say("56789");
        stage.Settle();
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
        stage.Settle();
        worker.Say("def");
        stage.Settle();
        var facts = Assert.Single(Records(stage)).Facts;
        Assert.Equal(("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n".Length + 10, client.Heard.Length), (facts.BytesIn, facts.BytesOut));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(30)]
    public void Requests_that_ran_ahead_are_one_record_each(int count)
    {
        var stage = Recording(workers: 2);
        var workers = new List<(StageSocket Socket, int Answered)>();
        for (var i = 0; i < 2; i++)
        {
            // Connections that are known to stay.
            stage.Client(Get);
            workers.Add((stage.NextAtWorker(), 1));
            workers[i].Socket.Say(Ok);
            stage.Settle();
        }

        Assert.Equal(2, Records(stage).Count);
        var client = stage.Client(string.Concat(Enumerable.Range(0, count).Select(i => Get.Replace("?b", $"?{i}", StringComparison.Ordinal))));
        Assert.True(stage.Proxy.Metrics.PipelinedRequests > 0);
        while (stage.Outcomes < count + 2)
        {
            for (var i = 0; i < workers.Count; i++)
            {
                var (socket, answered) = workers[i];
                for (; answered < socket.Heard.Split("GET /").Length - 1; answered++)
                {
                    socket.Say(Ok);
                }

                workers[i] = (socket, answered);
            }

            stage.Settle();
        }

        var records = Records(stage);
        Assert.Equal(Enumerable.Range(0, count).Select(i => $"GET /a?{i}|http://r/|test|app|127.0.0.1:8000"), records.Select(r => r.Texts));
        Assert.All(records, r => Assert.Equal((200, Outcome.Completed), (r.Facts.Status, r.Facts.Outcome)));
        Assert.Equal(client.Heard.Length, records.Sum(r => r.Facts.BytesOut));
    }

    [Fact]
    public void A_request_that_ran_ahead_and_is_answered_in_pieces_has_one_record_of_its_own()
    {
        var stage = Recording();
        stage.Client(Get);
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();
        Records(stage);
        stage.Client(string.Concat(Enumerable.Range(0, 3).Select(i => Get.Replace("?b", $"?{i}", StringComparison.Ordinal))));
        worker.Say(Ok + "HTTP/1.1 201 Ok\r\nContent-Length: 4\r\n\r\nab");
        stage.Settle();
        worker.Say("cd" + Ok);
        stage.Settle();

        // Records serve again, so one that two requests had would show here at the latest.
        stage.Client(Get.Replace("?b", "?3", StringComparison.Ordinal) + Get.Replace("?b", "?4", StringComparison.Ordinal));
        worker.Say(Ok + Ok);
        stage.Settle();
        Assert.Equal(
            [("GET /a?0", 200), ("GET /a?1", 201), ("GET /a?2", 200), ("GET /a?3", 200), ("GET /a?4", 200)],
            Records(stage).Select(r => (r.Texts[..8], (int)r.Facts.Status)));
    }

    [Fact]
    public void Requests_that_had_run_ahead_when_their_client_left_are_written_as_that()
    {
        var stage = Recording();
        stage.Client(Get);
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        Records(stage);
        var client = stage.Client(Get + Get + Get);
        client.Socket.Close(reset: true);
        stage.Settle();
        Assert.Equal([Outcome.ClientAborted, Outcome.ClientAborted, Outcome.ClientAborted], Records(stage).Select(r => r.Facts.Outcome));
    }

    [Fact]
    public void A_head_that_is_refused_is_a_record_without_texts_and_a_story()
    {
        var stage = Recording();
        var client = stage.Client("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
        var record = Assert.Single(Records(stage));
        Assert.Equal((400, Outcome.ClientMalformed), (record.Facts.Status, record.Facts.Outcome));
        Assert.Equal("|||", record.Texts[..3]);
        Assert.Equal("GET / HTTP/1.1\r\nHost : a\r\n\r\n".Length, record.Facts.BytesIn);
        var story = Assert.Single(stage.Proxy.Recorder.Failures.Latest(10));
        Assert.Equal(story.Facts.Id, record.Facts.Id);
        Assert.Contains($"FastLB-Request-Id: {story.Facts.Id:x16}\r\n", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void What_came_of_a_head_that_is_given_up_is_counted()
    {
        var stage = Recording();
        stage.Client("GET / HT");
        stage.Pass(60_000);
        var facts = Assert.Single(Records(stage)).Facts;
        Assert.Equal((408, Outcome.ClientTimeout, "GET / HT".Length), (facts.Status, facts.Outcome, (int)facts.BytesIn));
    }

    [Fact]
    public void Only_errors_leaves_out_what_went_well()
    {
        var stage = Recording(new AccessLogFilter(OnlyErrors: true));
        var client = stage.Client(Get);
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();
        client.Say(Get);
        stage.Settle();
        worker.Say("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
        stage.Settle();
        client.Say(Get);
        stage.Settle();
        worker.Say("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        stage.Settle();
        Assert.Equal([500], Records(stage).Select(r => (int)r.Facts.Status));
    }

    [Fact]
    public void A_share_is_a_share()
    {
        var stage = Recording(new AccessLogFilter(0.25));
        for (var i = 0; i < 1_000; i++)
        {
            stage.Client("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
        }

        Assert.InRange(Records(stage).Count, 200, 300);
    }

    [Fact]
    public void A_tcp_connection_is_one_record_at_its_end()
    {
        var stage = Recording();
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        worker.Say("hi");
        stage.Settle();
        Assert.Empty(Records(stage));
        stage.Pass(50);
        client.Socket.ShutdownWrite();
        worker.Socket.ShutdownWrite();
        stage.Settle();
        var facts = Assert.Single(Records(stage)).Facts;
        Assert.Equal((RecordFlags.Tcp, 5, 2, 50_000_000, Outcome.Completed), (facts.Flags, facts.BytesIn, facts.BytesOut, facts.TotalNs, facts.Outcome));
    }

    [Fact]
    public void A_tunnel_is_one_record_with_its_bytes()
    {
        var stage = Recording();
        var client = stage.Client("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n");
        stage.Settle();
        var headBytes = client.Heard.Length;
        client.Say("ping!");
        worker.Say("pong");
        stage.Settle();
        client.Socket.ShutdownWrite();
        worker.Socket.ShutdownWrite();
        stage.Settle();
        var facts = Assert.Single(Records(stage)).Facts;
        Assert.Equal((RecordFlags.Upgraded, 101), (facts.Flags, facts.Status));
        Assert.Equal(headBytes + 4, facts.BytesOut);
        Assert.Equal("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n".Length + 5, facts.BytesIn);
    }

    [Fact]
    public void The_story_of_a_request_names_every_attempt_and_what_decided()
    {
        var stage = new Stage(new Timeouts { ResponseMs = 300 }, workers: 2);
        var client = stage.Client(Get);
        stage.Pass(5);
        stage.NextAtWorker().Socket.Close();
        stage.Settle();
        stage.Pass(400);
        Assert.StartsWith("HTTP/1.1 504 ", client.Heard, StringComparison.Ordinal);
        var story = Assert.Single(stage.Proxy.Recorder.Failures.Latest(10));
        Assert.Contains($"FastLB-Request-Id: {story.Facts.Id:x16}\r\n", client.Heard, StringComparison.Ordinal);
        Assert.Equal("GET /a?b", Encoding.ASCII.GetString(story.Line));
        Assert.Equal(("app", Outcome.WorkerTimeout, DecidingLimit.ResponseTimeout, 300), (story.Pool, story.Facts.Outcome, story.Limit, story.LimitValue));
        Assert.Equal(2, story.AttemptCount);
        Assert.Equal([AttemptEnd.ClosedUnanswered, AttemptEnd.AnswerLate], story.Attempts.ToArray().Select(a => a.End));
        Assert.Equal(["app/0", "app/1"], story.Attempts.ToArray().Select(a => a.Worker).Order());
        Assert.Equal(5_000_000, story.Attempts[0].EndedNs - story.Attempts[0].SentNs);
        Assert.Equal(1, story.Facts.Retries);
        Assert.NotNull(stage.Proxy.Recorder.Failures.Find(story.Facts.Id));
    }

    [Fact]
    public void A_request_that_went_well_the_second_time_has_a_story_too()
    {
        var stage = new Stage(workers: 2);
        stage.Client(Get);
        stage.NextAtWorker().Socket.Close();
        stage.Settle();
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        var story = Assert.Single(stage.Proxy.Recorder.Failures.Latest(10));
        Assert.Equal(Outcome.Completed, story.Facts.Outcome);
        Assert.Equal([AttemptEnd.ClosedUnanswered, AttemptEnd.LastOne], story.Attempts.ToArray().Select(a => a.End));
        Assert.Equal(200, story.Attempts[1].Status);
    }

    [Fact]
    public void Workers_that_refuse_are_named()
    {
        var stage = new Stage(new Timeouts { QueueMs = 500 }, workers: 2) { FateOf = _ => ConnectFate.Refused };
        stage.Client(Get);
        stage.Pass(501);
        var story = Assert.Single(stage.Proxy.Recorder.Failures.Latest(10));
        Assert.Equal((DecidingLimit.QueueTimeout, 500), (story.Limit, story.LimitValue));
        Assert.Equal([("app/0", AttemptEnd.ConnectFailed), ("app/1", AttemptEnd.ConnectFailed)], story.Attempts.ToArray().Select(a => (a.Worker, a.End)).Order());
        Assert.All(story.Attempts.ToArray(), a => Assert.Equal((0, 111), (a.SentNs, a.Error)));
    }

    [Fact]
    public void An_answer_that_breaks_off_is_told_although_the_client_has_half_of_it()
    {
        var stage = new Stage();
        stage.Client("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        stage.Settle();
        worker.Socket.Close();
        stage.Settle();
        var story = Assert.Single(stage.Proxy.Recorder.Failures.Latest(10));
        Assert.Equal("POST /x", Encoding.ASCII.GetString(story.Line));
        Assert.Equal((Outcome.WorkerTruncated, AttemptEnd.AnswerBrokeOff, 200), (story.Facts.Outcome, story.Attempts[0].End, story.Facts.Status));
    }

    [Fact]
    public void Only_the_last_thousand_are_remembered()
    {
        var stage = new Stage();
        for (var i = 0; i < 1_100; i++)
        {
            stage.Client("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
        }

        var latest = stage.Proxy.Recorder.Failures.Latest(5_000);
        Assert.Equal(1_000, latest.Count);
        Assert.Equal(1_000, latest.Select(f => f.Facts.Id).Distinct().Count());
        Assert.True(latest.Zip(latest.Skip(1)).All(pair => pair.First.Facts.BeganNs >= pair.Second.Facts.BeganNs));
    }

    [Fact]
    public void What_a_request_is_called_finds_its_line_and_its_story()
    {
        var stage = new Stage(
            accessLog: s_all,
            listening: l => l with { Forwarding = new ForwardingSettings { RequestId = RequestIdMode.AcceptAll } });
        stage.Proxy.Recorder.Ring = new RecordRing(256 * 1024);
        var client = stage.Client("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: called-so\r\n\r\n");
        stage.NextAtWorker().Say("nonsense\r\n\r\n");
        stage.Settle();
        Assert.Contains("\r\nX-Request-Id: called-so\r\n", client.Heard, StringComparison.Ordinal);
        Assert.DoesNotContain("FastLB-Request-Id", client.Heard, StringComparison.Ordinal);

        Assert.True(stage.Proxy.Recorder.Ring.TryRead(out var bytes));
        Assert.Equal("called-so", Encoding.UTF8.GetString(new RecordView(bytes).RequestId));
        Assert.Equal(502, stage.Proxy.Recorder.Failures.FindCalled([.. "called-so"u8])!.Facts.Status);
        Assert.Null(stage.Proxy.Recorder.Failures.FindCalled([.. "called-otherwise"u8]));
    }

    private static Stage Recording(AccessLogFilter? filter = null, int workers = 1)
    {
        var stage = new Stage(workers: workers, accessLog: filter ?? s_all);
        stage.Proxy.Recorder.Ring = new RecordRing(256 * 1024);
        return stage;
    }

    private static List<(string Texts, RecordFacts Facts)> Records(Stage stage)
    {
        var records = new List<(string, RecordFacts)>();
        while (stage.Proxy.Recorder.Ring!.TryRead(out var bytes))
        {
            var view = new RecordView(bytes);
            var head = view.Method.IsEmpty ? "" : $"{Text(view.Method)} {Text(view.Target)}";
            records.Add(($"{head}|{Text(view.Referer)}|{Text(view.UserAgent)}|{Text(view.Pool)}|{Text(view.Listener)}", view.Facts));
            stage.Proxy.Recorder.Ring.Release();
        }

        return records;

        static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);
    }
}
