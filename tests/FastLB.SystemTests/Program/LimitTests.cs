using System.Net;

namespace FastLB.SystemTests.Program;

/// <summary>Limits, end to end: workers that are overrun, and who of their clients waits, is served or is told to come back.</summary>
public abstract class LimitTests(string engine) : TestsOfAPool(engine)
{
    [Fact]
    public async Task Twice_the_load_that_workers_can_take_keeps_them_busy_and_what_is_admitted_quick()
    {
        // Each serves one at a time: what is sent to it beyond that waits there.
        using var fleet = new NumberedWorkers(4, _ => 10, oneAtATime: true);
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
        using var fleet = new NumberedWorkers(1, _ => 0);
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
    public async Task Each_route_has_a_rate_of_its_own()
    {
        using var fleet = new NumberedWorkers(1, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(
            Pool(fleet, "rateLimits: [{ key: route, rate: 1/h, burst: 2 }]").Replace("pool: app }]", "routes: [{ path: /a, pool: app }, { pool: app }] }]", StringComparison.Ordinal));

        var statuses = new List<int>();
        foreach (var path in (string[])["/a", "/b", "/a", "/b", "/a", "/b"])
        {
            using var answer = await Http.GetAsync(fastlb.Url(path));
            statuses.Add((int)answer.StatusCode);
        }

        Assert.Equal([200, 200, 200, 200, 429, 429], statuses);
    }

    [Theory]
    [InlineData("limits: { maxConnections: 2 }")]
    [InlineData("limits: { worker: { maxConnections: 1 } }")]
    public async Task Connections_to_workers_stay_within_their_limit_and_all_loops_get_their_turn(string limits)
    {
        using var fleet = new NumberedWorkers(2, _ => 1);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, limits).Replace("loops: 1", "loops: 2", StringComparison.Ordinal));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 16, 1_000);

        Assert.All(answers, a => Assert.Equal(200, a.Status));

        // That the limit holds at every moment the simulator checks; here two threads write what is read.
        Assert.InRange((await fastlb.Status())["loops"]!.AsArray().Sum(l => (long)l!["upstreamConnections"]!), 1, 2);
    }

    [Fact]
    public async Task A_request_waits_for_its_own_pool_and_then_for_the_one_that_stands_in()
    {
        using var fleet = new NumberedWorkers(2, _ => 2_000);
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
        using var fleet = new NumberedWorkers(1, _ => 300, oneAtATime: true);
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
        using var fleet = new NumberedWorkers(1, _ => 0);
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
}
