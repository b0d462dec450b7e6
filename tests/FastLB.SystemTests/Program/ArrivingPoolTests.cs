using System.Net;

namespace FastLB.SystemTests.Program;

/// <summary>
/// Pools that a reload brings start their workers before anybody is sent there. Requests wait at most 50 ms for a worker in these configurations, far less than a worker needs to start, so
/// one that had to wait for it would be answered with 503.
/// </summary>
public abstract class ArrivingPoolTests(string engine) : TestsOfAnEngine(engine)
{
    private const string Named = """
        loops: 2
        admin: { bind: ADMIN }
        timeouts: { queue: 50ms, drain: 5s }
        listeners: [{ bind: LISTEN, pool: NAME }]
        pools: { NAME: { WORKERS } }
        """;

    [Fact]
    public async Task A_pool_that_gets_another_name_serves_on_and_nobody_waits_for_its_new_workers()
    {
        await using var fastlb = await FastLbUnderTest.Start(Configuration("blue", "run: { command: DEMO, instances: 2 }"));
        await WithLoad(fastlb, async () =>
        {
            foreach (var name in (string[])["green", "blue", "green"])
            {
                var (status, text) = await fastlb.Reload(Configuration(name, "run: { command: DEMO, instances: 2 }"));
                Assert.True(status == HttpStatusCode.OK, text);
                Assert.Equal($"{name}/0 {name}/1", string.Join(' ', (await fastlb.Workers()).Select(w => $"{name}/{w["slot"]}")));
            }
        });
    }

    [Fact]
    public async Task A_pool_that_runs_its_workers_from_now_on_or_only_reaches_them_serves_on()
    {
        await using var reached = await FastLbUnderTest.Start(Configuration("app", "run: { command: DEMO, instances: 1 }"));
        var addresses = Configuration("app", $"workers: [\"127.0.0.1:{reached.Port}\"]");
        await using var fastlb = await FastLbUnderTest.Start(addresses);
        await WithLoad(fastlb, async () =>
        {
            foreach (var yaml in (string[])[Configuration("app", "run: { command: DEMO, instances: 2 }"), addresses])
            {
                var (status, text) = await fastlb.Reload(yaml);
                Assert.True(status == HttpStatusCode.OK, text);
            }
        });
        await Eventually.True(() => fastlb.Program.Errors.Contains("app/1 generation 1 stopped", StringComparison.Ordinal), "the end of the processes", () => fastlb.Program.Errors);
    }

    [Fact]
    public async Task A_pool_of_which_no_worker_becomes_ready_is_refused_and_what_serves_stays()
    {
        var serving = Configuration("app", "run: { command: DEMO, instances: 1 }");
        await using var fastlb = await FastLbUnderTest.Start(serving);
        var pid = (int)(await fastlb.Workers())[0]["pid"]!;
        var broken = serving
            .Replace("[{ bind: LISTEN, pool: app }]", "[{ bind: LISTEN, backlog: 77, pool: broken }, { bind: LISTEN1, pool: app }]", StringComparison.Ordinal)
            .Replace("pools: {", "pools: { broken: { run: { command: [sh, -c, exit 7], instances: 2, readyTimeout: 10m } },", StringComparison.Ordinal);

        // Sockets with other options are bound beside those that serve, and take nobody from them while it waits.
        var reloading = fastlb.Reload(broken);
        while (!reloading.IsCompleted)
        {
            using var newcomer = await RawClient.Connect(fastlb.Endpoint);
            Assert.Equal(200, (await newcomer.Get("/")).Status);
        }

        var (status, text) = await reloading;
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("; the last one exited with status 7", text, StringComparison.Ordinal);
        Assert.Contains("pool broken: no worker is ready after ", text, StringComparison.Ordinal);
        await Eventually.True(() => fastlb.Program.Errors.Contains("not reloaded, and nothing has changed: pool broken", StringComparison.Ordinal), "the refusal in the log");
        Assert.Equal(pid, (int)(await fastlb.Workers())[0]["pid"]!);
        Assert.Single((await fastlb.Status())["pools"]!.AsArray());
        using var client = await RawClient.Connect(fastlb.Endpoint);
        Assert.Equal(200, (await client.Get("/")).Status);
        await Assert.ThrowsAnyAsync<System.Net.Sockets.SocketException>(() => RawClient.Connect(new IPEndPoint(IPAddress.Loopback, fastlb.PortOf("LISTEN1"))));

        // The same with a command that works is taken, although the pool was refused a moment ago.
        (status, text) = await fastlb.Reload(broken.Replace("[sh, -c, exit 7]", "DEMO", StringComparison.Ordinal));
        Assert.True(status == HttpStatusCode.OK, text);
        Assert.Equal(200, (await client.Get("/")).Status);
    }

    [Fact]
    public async Task While_workers_are_waited_for_operators_change_things_a_newer_configuration_comes_first_and_a_stop_waits_for_nobody()
    {
        var serving = Configuration("app", "run: { command: DEMO, instances: 1 }");
        await using var fastlb = await FastLbUnderTest.Start(serving);
        var waiting = serving
            .Replace("pool: app }]", "pool: app }, { bind: LISTEN1, pool: silent }]", StringComparison.Ordinal)
            .Replace("pools: {", "pools: { silent: { run: { command: [sleep, \"1000\"], instances: 1, readyTimeout: 10m } },", StringComparison.Ordinal);
        await fastlb.Write(waiting);
        fastlb.Program.Signal("HUP");
        await Eventually.True(() => fastlb.Program.Errors.Contains("the workers of silent start first", StringComparison.Ordinal), "the reload", () => fastlb.Program.Errors);

        using var http = new HttpClient();
        using var answer = await http.PutAsync(fastlb.Admin("/pools/app/strategy"), new StringContent("round-robin"));
        Assert.Equal("pool app chooses by round-robin now, before by two-choices", (await answer.Content.ReadAsStringAsync()).TrimEnd());

        // The listener that waits with it takes nobody.
        var early = new IPEndPoint(IPAddress.Loopback, fastlb.PortOf("LISTEN1"));
        await Assert.ThrowsAnyAsync<System.Net.Sockets.SocketException>(() => RawClient.Connect(early));

        var (status, text) = await fastlb.Reload(serving.Replace("instances: 1", "instances: 2", StringComparison.Ordinal));
        Assert.Equal((HttpStatusCode.OK, "reloaded: changed pool app; the operator's changes stay: app strategy"), (status, text.TrimEnd()));
        await Eventually.True(() => fastlb.Program.Errors.Contains("another configuration came before the workers of silent were ready", StringComparison.Ordinal), "the end of the older one");

        await fastlb.Write(waiting);
        fastlb.Program.Signal("HUP");
        await Eventually.True(() => fastlb.Program.Errors.Split("the workers of silent start first").Length == 3, "the same once more", () => fastlb.Program.Errors);
        fastlb.Program.Signal("TERM");
        await fastlb.Program.Exit(TimeSpan.FromSeconds(30));
        Assert.Equal(0, fastlb.Program.ExitCode);
    }

    private static string Configuration(string name, string workers) =>
        Named.Replace("NAME", name, StringComparison.Ordinal).Replace("WORKERS", workers, StringComparison.Ordinal);

    private static async Task WithLoad(FastLbUnderTest fastlb, Func<Task> act)
    {
        using var stop = new CancellationTokenSource();
        var answered = 0;
        var load = Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
            while (!stop.IsCancellationRequested)
            {
                using var answer = await client.GetAsync(fastlb.Url("/healthz"));
                Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
                Interlocked.Increment(ref answered);
            }
        }));
        await act();
        await Eventually.True(() => load.IsFaulted || Volatile.Read(ref answered) > 50, "some answers");
        await stop.CancelAsync();
        await load;
    }
}
