using System.Net;
using System.Net.Sockets;
using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>Choosing and protecting, end to end: real sockets, workers that are slow, broken or overrun, and what clients get meanwhile.</summary>
public abstract class ProtectionTests(string engine) : TestsOfAnEngine(engine)
{
    private static readonly HttpClient s_http = new();

    [Fact]
    public async Task A_worker_that_is_ten_times_slower_gets_few_requests_by_response_time_and_p99_falls()
    {
        using var fleet = new Workers(4, i => i == 0 ? 300 : 30);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "strategy: round-robin"));
        var before = await HttpLoad.Closed(fastlb.Url("/"), 6, 240);
        Assert.InRange(HttpLoad.ShareOf(before, "0"), 0.2, 0.3);

        await Put(fastlb, "/pools/app/strategy", "response-time");
        var after = await HttpLoad.Closed(fastlb.Url("/"), 6, 1_200);

        Assert.All(after, a => Assert.Equal(200, a.Status));
        Assert.InRange(HttpLoad.ShareOf(after, "0"), 0, 0.05);
        var (slow, fast) = (HttpLoad.Percentile(before, 0.99), HttpLoad.Percentile(after, 0.99));
        Assert.True(fast * 5 <= slow, $"p99 was {slow} ms and is {fast} ms");
    }

    [Theory]
    [InlineData("response-time", 0, 0.05)]
    [InlineData("least-connections", 0.3, 1)]
    public async Task A_worker_that_fails_at_once_attracts_nothing_by_response_time(string strategy, double least, double most)
    {
        using var fleet = new Workers(4, i => i == 0 ? 0 : 20);
        fleet.Failing = 0;
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, $"strategy: {strategy}"));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 16, 2_000);

        // By connections alone the one that fails looks like the one with nothing to do.
        Assert.InRange((double)answers.Count(a => a.Status == 500) / answers.Count, least, most);
    }

    [Fact]
    public async Task A_breaker_opens_probes_and_closes_while_the_fallback_answers()
    {
        using var fleet = new Workers(1, _ => 0);
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

    [NeedsToolsFact("wrk")]
    public async Task Switching_the_strategy_under_load_loses_nothing()
    {
        using var fleet = new Workers(3, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "strategy: two-choices"));
        using var wrk = RunningProgram.Start("wrk", ["-t1", "-c16", "-d4s", "--timeout", "10s", "-H", "X-User: somebody", fastlb.Url("/").ToString()]);
        string[] strategies =
        [
            "round-robin", "{\"name\": \"consistent-hash\", \"key\": \"header:X-User\"}", "response-time", "weighted-round-robin", "source-address", "auto", "random",
            "least-connections", "two-choices",
        ];
        foreach (var strategy in strategies)
        {
            var served = Enumerable.Range(0, 3).Sum(fleet.Requests);
            await Put(fastlb, "/pools/app/strategy", strategy);
            await Eventually.True(() => Enumerable.Range(0, 3).Sum(fleet.Requests) > served + 200, $"requests flow by {strategy}", () => fastlb.Program.Errors);
        }

        await wrk.Exit(TimeSpan.FromSeconds(30));
        Assert.DoesNotContain("Non-2xx", wrk.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Socket errors", wrk.Output, StringComparison.Ordinal);
        Assert.Equal("two-choices", (string)(await fastlb.Status())["pools"]![0]!["strategy"]!);
    }

    [Fact]
    public async Task A_worker_that_joins_ten_moves_less_than_an_eighth_of_the_keys()
    {
        using var fleet = new Workers(11, _ => 0);
        await using var ten = await FastLbUnderTest.Start(Pool(fleet, "strategy: { name: consistent-hash, key: header:X-User, loadBound: none }", 10));
        await using var eleven = await FastLbUnderTest.Start(Pool(fleet, "strategy: { name: consistent-hash, key: header:X-User, loadBound: none }"));
        var before = await HttpLoad.Closed(ten.Url("/"), 8, 1_000, n => ("X-User", HttpLoad.Text(n)));
        var again = await HttpLoad.Closed(ten.Url("/"), 8, 1_000, n => ("X-User", HttpLoad.Text(n)));
        var after = await HttpLoad.Closed(eleven.Url("/"), 8, 1_000, n => ("X-User", HttpLoad.Text(n)));

        Assert.Equal(before.Select(a => a.Body), again.Select(a => a.Body));
        var moved = Enumerable.Range(0, 1_000).Count(i => before[i].Body != after[i].Body);
        Assert.InRange(moved, 50, 120);
    }

    [Fact]
    public async Task Twice_the_load_that_workers_can_take_keeps_them_busy_and_what_is_admitted_quick()
    {
        // Each serves one at a time: what is sent to it beyond that waits there.
        using var fleet = new Workers(4, _ => 10, oneAtATime: true);
        await using var fastlb = await FastLbUnderTest.Start(
            Pool(fleet, "limits: { worker: { maxRequests: 2 } }\n    queue: { length: 20 }\n    timeouts: { queue: 1s }"));
        var alone = System.Diagnostics.Stopwatch.StartNew();
        var calm = await HttpLoad.Closed(fastlb.Url("/"), 8, 1_000);
        var capacity = calm.Count / alone.Elapsed.TotalSeconds;

        var rush = System.Diagnostics.Stopwatch.StartNew();
        var answers = await HttpLoad.Open(fastlb.Url("/"), (int)(capacity * 2), (int)(capacity * 6));
        var goodput = answers.Count(a => a.Status == 200) / rush.Elapsed.TotalSeconds;

        Assert.True(goodput > capacity * 0.9, $"{goodput} requests/s of {capacity}");
        Assert.All(answers, a => Assert.True(a.Status is 200 or 503));
        Assert.Contains(answers, a => a.Status == 503);
        var p99 = HttpLoad.Percentile(answers.Where(a => a.Status == 200), 0.99);
        Assert.True(p99 < 1_000, $"p99 of what was admitted is {p99} ms");
    }

    [Fact]
    public async Task A_client_beyond_its_rate_gets_429_and_is_told_when_to_come_back_and_another_is_served()
    {
        using var fleet = new Workers(1, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "rateLimits: [{ name: users, key: \"header:X-User\", rate: 6/m, burst: 3 }]"));

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await Ask(fastlb, "one")).StatusCode);
        }

        var refused = await Ask(fastlb, "one");
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 10);
        Assert.Equal("\"users\";q=3;w=30", refused.Headers.GetValues("RateLimit-Policy").Single());
        Assert.StartsWith("\"users\";r=0;t=", refused.Headers.GetValues("RateLimit").Single(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await Ask(fastlb, "two")).StatusCode);
        Assert.Equal(4, fleet.Requests(0));
        Assert.Contains("fastlb_pool_errors_total{pool=\"app\",cause=\"rate-limited\"} 1", await fastlb.Metrics(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unhealthy_worker_gets_nothing_until_it_is_well_and_the_last_one_is_used_all_the_same()
    {
        using var fleet = new Workers(2, _ => 0);
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
        using var fleet = new Workers(3, _ => 0);
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
        using var fleet = new Workers(2, _ => 0);
        fleet.Failing = 0;
        fleet.FailingStatus = 503;
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, $"strategy: round-robin\n    {retries}"));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 1, 10);

        Assert.Equal(status == 200 ? 10 : 5, answers.Count(a => a.Status == 200));
    }

    [Theory]
    [InlineData("by: client-address", 1)]
    [InlineData("by: header:X-User", 8)]
    public async Task Sessions_stay_by_what_they_go_by(string by, int mostWorkers)
    {
        using var fleet = new Workers(8, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, $"strategy: round-robin\n    sticky: {{ {by} }}"));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 4, 400, n => ("X-User", HttpLoad.Text(n % 40)));

        for (var user = 0; user < 40; user++)
        {
            Assert.Single(answers.Where((_, n) => n % 40 == user).Select(a => a.Body).Distinct());
        }

        Assert.InRange(answers.Select(a => a.Body).Distinct().Count(), mostWorkers == 1 ? 1 : 5, mostWorkers);
    }

    [Fact]
    public async Task Another_pool_answers_when_one_has_no_worker_left()
    {
        using var fleet = new Workers(1, _ => 0);
        using var gone = new Workers(1, _ => 0);
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
    [InlineData("limits: { maxConnections: 2 }")]
    [InlineData("limits: { worker: { maxConnections: 1 } }")]
    public async Task Connections_to_workers_stay_within_their_limit_and_all_loops_get_their_turn(string limits)
    {
        using var fleet = new Workers(2, _ => 1);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, limits).Replace("loops: 1", "loops: 2", StringComparison.Ordinal));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 16, 1_000);

        Assert.All(answers, a => Assert.Equal(200, a.Status));

        // That the limit holds at every moment the simulator checks; here two threads write what is read.
        Assert.InRange((await fastlb.Status())["loops"]!.AsArray().Sum(l => (long)l!["upstreamConnections"]!), 1, 2);
    }

    [Fact]
    public async Task Each_route_has_a_rate_of_its_own()
    {
        using var fleet = new Workers(1, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(
            Pool(fleet, "rateLimits: [{ key: route, rate: 1/h, burst: 2 }]").Replace("pool: app }]", "routes: [{ path: /a, pool: app }, { pool: app }] }]", StringComparison.Ordinal));

        var statuses = new List<int>();
        foreach (var path in (string[])["/a", "/b", "/a", "/b", "/a", "/b"])
        {
            using var answer = await s_http.GetAsync(fastlb.Url(path));
            statuses.Add((int)answer.StatusCode);
        }

        Assert.Equal([200, 200, 200, 200, 429, 429], statuses);
    }

    [Theory]
    [InlineData("retries: { attemptTimeout: 200ms }", 0)]
    [InlineData("retries: { attempts: 1 }", 1)]
    public async Task An_attempt_that_takes_too_long_is_given_up_for_another_where_that_is_configured(string retries, int slowAnswers)
    {
        using var fleet = new Workers(2, i => i == 0 ? 3_000 : 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, $"strategy: round-robin\n    {retries}"));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 1, 2);

        Assert.All(answers, a => Assert.Equal(200, a.Status));
        Assert.Equal(slowAnswers, answers.Count(a => a.Body == "0"));
    }

    [Fact]
    public async Task An_answer_that_has_begun_is_not_cut_off_by_the_time_of_an_attempt()
    {
        using var worker = new ScriptedWorker(async (socket, _, _) =>
        {
            await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"u8.ToArray());
            await Task.Delay(600);
            await socket.SendAsync("lf"u8.ToArray());
        });
        await using var fastlb = await FastLbUnderTest.Start($$"""
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN, pool: app }]
            pools: { app: { workers: ["{{worker.Address}}"], retries: { attemptTimeout: 200ms } } }
            """);

        Assert.Equal((200, "half"), await Get(fastlb));
        Assert.Equal(1, worker.Requests);
    }

    [Fact]
    public async Task A_request_waits_for_its_own_pool_and_then_for_the_one_that_stands_in()
    {
        using var fleet = new Workers(2, _ => 2_000);
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 1
            admin: { bind: ADMIN }
            timeouts: { queue: 200ms }
            listeners: [{ bind: LISTEN, pool: app }]
            pools:
              app: { workers: ["{{fleet.Addresses[0]}}"], limits: { maxRequests: 1 }, fallback: { pool: spare } }
              spare: { workers: ["{{fleet.Addresses[1]}}"], limits: { maxRequests: 1 } }
            """);

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 3, 3);

        Assert.Equal([200, 200, 503], answers.Select(a => a.Status).Order());
        Assert.Equal((1, 1), (fleet.Requests(0), fleet.Requests(1)));
    }

    [Fact]
    public async Task An_important_request_goes_before_those_that_wait_already()
    {
        using var fleet = new Workers(1, _ => 300, oneAtATime: true);
        await using var fastlb = await FastLbUnderTest.Start(
            Pool(fleet, "limits: { maxRequests: 1 }\n    queue: { length: 2, priorityHeader: X-Priority }"));
        var first = Ask(fastlb, "first");
        await Eventually.True(() => fleet.Requests(0) == 1, "the only place is taken");
        var waiting = new[] { Ask(fastlb, "low", "1"), Ask(fastlb, "low", "1") };
        await Eventually.True(async () => (int)(await fastlb.Status())["pools"]![0]!["waiting"]! == 2, "two wait");

        var important = await Ask(fastlb, "high", "6");

        Assert.Equal(HttpStatusCode.OK, important.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await first).StatusCode);
        var statuses = (await Task.WhenAll(waiting)).Select(a => a.StatusCode).Order();
        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable], statuses);
    }

    [Fact]
    public async Task A_client_has_only_so_many_connections_and_gets_another_when_one_closes()
    {
        using var fleet = new Workers(1, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(
            Pool(fleet, "strategy: random").Replace("pool: app }]", "pool: app, maxConnectionsPerClient: 2 }]", StringComparison.Ordinal));
        using var first = await RawClient.Connect(fastlb.Endpoint);
        using var second = await RawClient.Connect(fastlb.Endpoint);
        Assert.Equal("0", (await first.Get("/")).Text);
        Assert.Equal("0", (await second.Get("/")).Text);
        Assert.False(await IsServed(fastlb));

        second.Reset();

        await Eventually.True(() => IsServed(fastlb), "there is room for another");
        Assert.Equal("0", (await first.Get("/")).Text);
        Assert.True((long)(await fastlb.Status())["totals"]!["connectionsRefused"]! > 0);
    }

    private static async Task<bool> IsServed(FastLbUnderTest fastlb)
    {
        using var http = new HttpClient();
        try
        {
            using var answer = await http.GetAsync(fastlb.Url("/"));
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    [Theory]
    [InlineData("/pools/app/strategy", "no-such", 400, "name: there is no strategy 'no-such'")]
    [InlineData("/pools/app/strategy", "{\"name\": \"round-robin\", \"key\": \"path\"}", 400, "key: the strategy round-robin goes by no key")]
    [InlineData("/pools/nope/strategy", "round-robin", 404, "there is no pool 'nope'")]
    [InlineData("/pools/app/workers/7/weight", "2", 404, "pool app has no worker 7")]
    [InlineData("/pools/app/workers/0/weight", "0", 400, "weight: 0 is out of range")]
    [InlineData("/pools/app/workers/0/breaker", "open", 400, "worker app/0 has no breaker")]
    public async Task A_wrong_wish_of_the_operator_changes_nothing_and_says_why(string path, string body, int status, string text)
    {
        using var fleet = new Workers(1, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "strategy: random"));

        using var answer = await s_http.PutAsync(fastlb.Admin(path), new StringContent(body));

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.StartsWith(text, await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal("random", (string)(await fastlb.Status())["pools"]![0]!["strategy"]!);
    }

    [Fact]
    public async Task Weights_change_while_requests_flow()
    {
        using var fleet = new Workers(2, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "strategy: weighted-round-robin"));
        Assert.InRange(HttpLoad.ShareOf(await HttpLoad.Closed(fastlb.Url("/"), 2, 400), "0"), 0.45, 0.55);

        await Put(fastlb, "/pools/app/workers/0/weight", "3");

        Assert.InRange(HttpLoad.ShareOf(await HttpLoad.Closed(fastlb.Url("/"), 2, 400), "0"), 0.7, 0.8);
    }

    private static string Pool(Workers fleet, string settings, int count = int.MaxValue) => $$"""
        loops: 1
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, pool: app }]
        pools:
          app:
            {{settings}}
            workers: [{{string.Join(", ", fleet.Addresses.Take(count).Select(a => $"\"{a}\""))}}]
        """;

    private static async Task Put(FastLbUnderTest fastlb, string path, string body)
    {
        using var answer = await s_http.PutAsync(fastlb.Admin(path), new StringContent(body));
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static async Task<(int Status, string Body)> Get(FastLbUnderTest fastlb)
    {
        using var answer = await s_http.GetAsync(fastlb.Url("/"));
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static Task<HttpResponseMessage> Ask(FastLbUnderTest fastlb, string user, string? priority = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, fastlb.Url("/")) { Headers = { { "X-User", user } } };
        if (priority is not null)
        {
            request.Headers.Add("X-Priority", priority);
        }

        return s_http.SendAsync(request);
    }

    private static Task StateIs(FastLbUnderTest fastlb, int slot, string state) => Eventually.True(
        async () => (string)(await fastlb.Workers())[slot]["state"]! == state, $"worker {slot} is {state}", () => fastlb.Program.Errors);

    /// <summary>Workers that answer their number after a while, or fail, or are unwell, as the test says while they run.</summary>
    private sealed class Workers : IDisposable
    {
        private readonly ScriptedWorker[] _workers;
        private readonly int[] _requests;

        public Workers(int count, Func<int, int> milliseconds, bool oneAtATime = false)
        {
            _requests = new int[count];
            _workers = [.. Enumerable.Range(0, count).Select(i =>
            {
                var turn = new SemaphoreSlim(oneAtATime ? 1 : int.MaxValue);
                return new ScriptedWorker((socket, head, _) => Answer(socket, head, i, milliseconds(i), turn));
            })];
        }

        public string[] Addresses => [.. _workers.Select(w => w.Address)];

        /// <summary>The number of the one that fails, or -1.</summary>
        public volatile int Failing = -1;

        public int FailingStatus { get; set; } = 500;

        public int[] Unhealthy { get; set; } = [];

        /// <summary>Requests that were no health checks.</summary>
        public int Requests(int worker) => Volatile.Read(ref _requests[worker]);

        public void Dispose()
        {
            foreach (var worker in _workers)
            {
                worker.Dispose();
            }
        }

        private async Task Answer(Socket socket, string head, int number, int milliseconds, SemaphoreSlim turn)
        {
            if (head.StartsWith("GET /health ", StringComparison.Ordinal))
            {
                await Send(socket, Unhealthy.Contains(number) ? "503 Service Unavailable" : "200 OK", "health");
                return;
            }

            Interlocked.Increment(ref _requests[number]);
            if (Failing == number)
            {
                await Send(socket, $"{FailingStatus} Failing", "fails");
                return;
            }

            await turn.WaitAsync();
            try
            {
                if (milliseconds > 0)
                {
                    await Task.Delay(milliseconds);
                }
            }
            finally
            {
                turn.Release();
            }

            await Send(socket, "200 OK", HttpLoad.Text(number));
        }

        private static Task<int> Send(Socket socket, string status, string body) =>
            socket.SendAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
    }
}
