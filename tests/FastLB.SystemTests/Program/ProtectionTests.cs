using System.Net.Sockets;

namespace FastLB.SystemTests.Program;

/// <summary>Protecting, end to end: real sockets, workers that are slow, broken or unwell, and what clients get meanwhile.</summary>
public abstract class ProtectionTests(string engine) : TestsOfAPool(engine)
{
    [Fact]
    public async Task A_breaker_opens_probes_and_closes_while_the_fallback_answers()
    {
        using var fleet = new NumberedWorkers(1, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(
            Pool(fleet, "breaker: { failures: 3, open: 300ms, maxOpen: 300ms, successes: 2 }\n    fallback: { text: later, status: 503 }"));
        Assert.Equal((200, "0"), await Get(fastlb));

        fleet.Failing = 0;
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal((500, "fails"), await Get(fastlb));
        }

        Assert.Equal((503, "later\n"), await Get(fastlb));
        var reached = fleet.Requests(0);
        Assert.Equal((503, "later\n"), await Get(fastlb));
        Assert.Equal(reached, fleet.Requests(0));

        fleet.Failing = -1;
        await Eventually.True(async () => await Get(fastlb) == (200, "0") && await Get(fastlb) == (200, "0"), "the breaker closes", () => fastlb.Program.Errors);
        await Eventually.True(async () => (string?)(await fastlb.Workers())[0]["breaker"] == "closed", "the status says so");
        string[] told = ["breaker open: failures in a row", "breaker half-open: its time is over, requests probe", "breaker closed: probes succeeded"];
        await Eventually.True(
            async () => told.SequenceEqual((await fastlb.Status())["events"]!.AsArray().Select(e => (string)e!["text"]!).Where(told.Contains).Distinct()),
            "every change is told, in order",
            () => fastlb.Program.Errors);
    }

    [Fact]
    public async Task An_unhealthy_worker_gets_nothing_until_it_is_well_and_the_last_one_is_used_all_the_same()
    {
        using var fleet = new NumberedWorkers(2, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(
            Pool(fleet, "strategy: round-robin\n    health: { path: /health, interval: 50ms, timeout: 40ms, rise: 2, fall: 2 }\n    panic: 10%"));
        fleet.Unhealthy = [0];
        await StateIs(fastlb, 0, "unfit");
        Assert.All(await HttpLoad.Closed(fastlb.Url("/"), 2, 100), a => Assert.Equal("1", a.Body));

        fleet.Unhealthy = [0, 1];
        await StateIs(fastlb, 1, "unfit");
        Assert.True((bool)(await fastlb.Status())["pools"]![0]!["panicking"]!);
        Assert.InRange(HttpLoad.ShareOf(await HttpLoad.Closed(fastlb.Url("/"), 2, 100), "0"), 0.4, 0.6);

        fleet.Unhealthy = [];
        await StateIs(fastlb, 0, "ready");
        await StateIs(fastlb, 1, "ready");
        Assert.InRange(HttpLoad.ShareOf(await HttpLoad.Closed(fastlb.Url("/"), 2, 100), "0"), 0.4, 0.6);
    }

    [Fact]
    public async Task A_worker_that_only_fails_is_ejected()
    {
        using var fleet = new NumberedWorkers(3, _ => 0);
        fleet.Failing = 2;
        await using var fastlb = await FastLbUnderTest.Start(
            Pool(fleet, "strategy: round-robin\n    outliers: { failures: 5, ejection: 1m, maxEjected: 40% }"));
        await HttpLoad.Closed(fastlb.Url("/"), 2, 60);
        await StateIs(fastlb, 2, "unfit");
        Assert.All(await HttpLoad.Closed(fastlb.Url("/"), 2, 60), a => Assert.Equal(200, a.Status));
        Assert.Contains("ejected: failures in a row", (string)(await fastlb.Workers())[2]["why"]!, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("retries: { attempts: 2, on: [\"503\"] }", 200)]
    [InlineData("retries: { attempts: 2, on: [closed] }", 503)]
    public async Task A_status_is_tried_again_where_that_is_configured(string retries, int status)
    {
        using var fleet = new NumberedWorkers(2, _ => 0);
        fleet.Failing = 0;
        fleet.FailingStatus = 503;
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, $"strategy: round-robin\n    {retries}"));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 1, 10);

        Assert.Equal(status == 200 ? 10 : 5, answers.Count(a => a.Status == 200));
    }

    [Fact]
    public async Task Another_pool_answers_when_one_has_no_worker_left()
    {
        using var fleet = new NumberedWorkers(1, _ => 0);
        using var gone = new NumberedWorkers(1, _ => 0);
        var deadAddress = gone.Addresses[0];
        gone.Dispose();
        await using var fastlb = await FastLbUnderTest.Start($$"""
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN, pool: app }]
            pools:
              app: { workers: ["{{deadAddress}}"], fallback: { pool: spare } }
              spare: { workers: ["{{fleet.Addresses[0]}}"] }
            """);

        Assert.Equal((200, "0"), await Get(fastlb));
        Assert.Equal(1, (long)(await fastlb.Status())["pools"]![0]!["fallbacks"]!);
    }

    [Theory]
    [InlineData("retries: { attemptTimeout: 200ms }", 0)]
    [InlineData("retries: { attempts: 1 }", 1)]
    public async Task An_attempt_that_takes_too_long_is_given_up_for_another_where_that_is_configured(string retries, int slowAnswers)
    {
        using var fleet = new NumberedWorkers(2, i => i == 0 ? 3_000 : 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, $"strategy: round-robin\n    {retries}"));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 1, 2);

        Assert.All(answers, a => Assert.Equal(200, a.Status));
        Assert.Equal(slowAnswers, answers.Count(a => a.Body == "0"));
    }

    [Fact]
    public async Task An_answer_that_has_begun_is_not_cut_off_by_the_time_of_an_attempt()
    {
        var attempted = 0;
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task Script(Socket socket, string head, int number)
        {
            if (head.StartsWith("GET /half ", StringComparison.Ordinal))
            {
                await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"u8.ToArray());
                begun.SetResult();
                await release.Task;
                await socket.SendAsync("lf"u8.ToArray());
            }
            else if (Interlocked.Increment(ref attempted) > 1)
            {
                await ScriptedWorker.Answer(socket, "second");
            }
        }

        using var first = new ScriptedWorker(Script);
        using var second = new ScriptedWorker(Script);
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 1
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN, pool: app }]
            pools: { app: { strategy: round-robin, workers: ["{{first.Address}}", "{{second.Address}}"], retries: { attemptTimeout: 200ms } } }
            """);

        // What is asked afterwards is given up by one worker and answered by the other, so by then the time of the first attempt is over, too.
        var half = Get(fastlb, "/half");
        await begun.Task;
        Assert.Equal((200, "second"), await Get(fastlb, "/"));
        Assert.Equal(2, attempted);
        release.SetResult();

        Assert.Equal((200, "half"), await half);
        Assert.Equal(3, first.Requests + second.Requests);
    }
}
