using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace FastLB.SystemTests.Program;

/// <summary>Deaths, restarts and the end of the whole, while clients are sending: the reason to have one program for both.</summary>
public abstract partial class FleetUnderLoadTests(string engine) : TestsOfAnEngine(engine)
{
    private const string NodeFleet = """
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, pool: app }]
        pools:
          app:
            strategy: round-robin
            sticky: { cookie: FASTLB }
            run: { command: [node, server.js], directory: APP, instances: 2, killTimeout: 5s }
        """;

    [NeedsToolsFact("node", "ab", "wrk")]
    public async Task The_usual_load_generators_see_no_failure_and_the_workers_share_evenly()
    {
        await using var fastlb = await StartNodeFleet();
        foreach (var keepAlive in new[] { false, true })
        {
            string[] arguments = ["-q", "-n", "10000", "-c", "100", .. keepAlive ? (string[])["-k"] : [], fastlb.Url("/healthz").ToString()];
            var report = await RunningProgram.OutputOf("ab", arguments);
            Assert.Matches(@"Complete requests:\s+10000", report);
            Assert.Matches(@"Failed requests:\s+0", report);
            Assert.DoesNotContain("Non-2xx", report, StringComparison.Ordinal);
        }

        await AssertNoError(fastlb, await Wrk(fastlb, 5));
        var shares = (await fastlb.Workers()).Select(w => (double)(long)w["requests"]!).ToArray();
        Assert.True(shares.Max() / shares.Min() < 1.1, $"the workers got {string.Join(" and ", shares)} requests");
    }

    [NeedsToolsFact("node", "wrk")]
    public async Task Killing_a_worker_five_times_under_GETs_fails_no_request()
    {
        await using var fastlb = await StartNodeFleet();
        var load = Wrk(fastlb, 12);
        for (var i = 0; i < 5; i++)
        {
            await KillOne(fastlb, i % 2);
        }

        await AssertNoError(fastlb, await load);
    }

    [NeedsToolsFact("node")]
    public async Task Killing_a_worker_under_POSTs_fails_only_those_in_flight_and_with_502()
    {
        await using var fastlb = await StartNodeFleet();
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 32 });
        using var stop = new CancellationTokenSource();
        var failed = 0;
        var answered = 0;
        var load = Enumerable.Range(0, 16).Select(async _ =>
        {
            while (!stop.IsCancellationRequested)
            {
                using var answer = await http.PostAsync(fastlb.Url("/healthz"), new StringContent("hello"));
                Interlocked.Increment(ref answered);
                if (answer.StatusCode != HttpStatusCode.OK)
                {
                    Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
                    Interlocked.Increment(ref failed);
                }
            }
        }).ToArray();
        for (var i = 0; i < 5; i++)
        {
            await KillOne(fastlb, i % 2);
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
        Assert.True(answered > 100, $"{answered} requests were answered");

        // Sixteen clients have at most sixteen requests in flight at each of five deaths, and a client whose request has failed may send
        // its next one to the same worker while the kernel is still taking that one's sockets down.
        Assert.True(failed <= 5 * 16 * 2, $"{failed} of {answered} requests failed");
    }

    [NeedsToolsFact("node")]
    public async Task SIGTERM_under_load_answers_what_was_accepted_and_leaves_no_process()
    {
        var fastlb = await StartNodeFleet();
        await using var disposed = fastlb;
        var pids = (await fastlb.Workers()).Select(w => (int)w["pid"]!).ToArray();
        var signalled = false;
        var answered = 0;
        var accepted = 0;
        var clients = Enumerable.Range(0, 16).Select(async _ =>
        {
            using var client = await RawClient.Connect(fastlb.Endpoint);
            for (var isFirst = true; ; isFirst = false)
            {
                RawAnswer answer;
                try
                {
                    answer = await client.Get("/healthz");
                }
                catch (Exception exception) when (exception is IOException or System.Net.Sockets.SocketException && Volatile.Read(ref signalled))
                {
                    Assert.Fail($"a request on an accepted connection was not answered: {exception.Message}");
                    throw;
                }

                Assert.Equal(200, answer.Status);
                Interlocked.Increment(ref answered);
                if (isFirst)
                {
                    // A client that connects while the listener closes was not accepted, and nothing is claimed of it.
                    Interlocked.Increment(ref accepted);
                }

                if (answer.Headers.TryGetValue("connection", out var connection) && connection == "close")
                {
                    Assert.True(Volatile.Read(ref signalled), "a connection was closed before the signal");
                    return;
                }
            }
        }).ToArray();
        await Eventually.True(() => Volatile.Read(ref answered) > 500 && Volatile.Read(ref accepted) == clients.Length, "the load is running");
        Volatile.Write(ref signalled, true);
        fastlb.Program.Signal("TERM");
        await Task.WhenAll(clients);
        await fastlb.Program.Exit(TimeSpan.FromSeconds(20));
        Assert.Equal(0, fastlb.Program.ExitCode);
        Assert.All(pids, pid => Assert.False(Directory.Exists($"/proc/{pid}"), $"worker {pid} is still there"));
    }

    [NeedsToolsFact("node")]
    public async Task A_sticky_client_stays_and_moves_once_when_its_worker_dies()
    {
        await using var fastlb = await StartNodeFleet();
        using var first = await RawClient.Connect(fastlb.Endpoint);
        var (cookie, slot) = await FirstVisit(first);
        await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
        {
            using var client = await RawClient.Connect(fastlb.Endpoint);
            for (var i = 0; i < 20; i++)
            {
                var answer = await client.Get("/", $"Cookie: {cookie}\r\n");
                Assert.Equal(slot, SlotOf(answer));
                Assert.DoesNotContain("FASTLB=", answer.Headers.GetValueOrDefault("set-cookie", ""), StringComparison.Ordinal);
            }
        }));

        RunningProgram.Signal((int)(await fastlb.Workers())[slot]["pid"]!, "KILL");
        var moves = 0;
        using var after = await RawClient.Connect(fastlb.Endpoint);
        for (var i = 0; i < 300; i++)
        {
            var answer = await after.Get("/", $"Cookie: {cookie}\r\n");
            Assert.Equal(200, answer.Status);
            if (SlotOf(answer) != slot)
            {
                moves++;
                slot = SlotOf(answer);
                cookie = CookieOf(answer);
            }
        }

        // The replacement of the dead process has its slot, so a client that comes back after it is up does not move at all.
        Assert.InRange(moves, 0, 1);
        await fastlb.Ready();
        Assert.Equal(slot, SlotOf(await after.Get("/", $"Cookie: {cookie}\r\n")));
    }

    [NeedsToolsFact("node", "wrk")]
    public async Task A_rolling_restart_under_load_fails_no_request_and_replaces_every_worker()
    {
        await using var fastlb = await StartNodeFleet();
        var load = Wrk(fastlb, 6);
        fastlb.Program.Signal("USR2");
        await Eventually.True(
            async () => (await fastlb.Workers()) is { Count: 2 } workers && workers.All(w => (int)w["generation"]! == 2 && (string)w["state"]! == "ready"),
            "both workers are of generation 2");
        await AssertNoError(fastlb, await load);
    }

    [NeedsToolsFact("node")]
    public async Task When_FastLB_is_killed_its_workers_go_with_it()
    {
        await using var fastlb = await StartNodeFleet();
        var pids = (await fastlb.Workers()).Select(w => (int)w["pid"]!).ToArray();
        fastlb.Program.Signal("KILL");
        await Eventually.True(() => pids.All(pid => !Directory.Exists($"/proc/{pid}")), "no worker is left");
    }

    [NeedsToolsFact("node")]
    public async Task Nodes_WebSocket_client_talks_through_the_balancer()
    {
        await using var fastlb = await StartNodeFleet();
        var script = Path.Combine(Repository.Example("node-app"), "websocket-check.js");
        Assert.Contains("ok", await RunningProgram.OutputOf("node", script, $"ws://127.0.0.1:{fastlb.Port}/ws"), StringComparison.Ordinal);
    }

    private static Task<FastLbUnderTest> StartNodeFleet() =>
        FastLbUnderTest.Start(NodeFleet.Replace("APP", Repository.Example("node-app"), StringComparison.Ordinal));

    private static Task<string> Wrk(FastLbUnderTest fastlb, int seconds) =>
        RunningProgram.OutputOf("wrk", "-t1", "-c64", $"-d{seconds}s", fastlb.Url("/healthz").ToString());

    private static async Task AssertNoError(FastLbUnderTest fastlb, string report)
    {
        var isWell = !report.Contains("Non-2xx", StringComparison.Ordinal) && !report.Contains("Socket errors", StringComparison.Ordinal);
        Assert.True(isWell, isWell ? "" : $"{report}{await fastlb.FailedRequests()}{fastlb.Program.Errors}");
        var requests = RequestsPattern().Match(report);
        Assert.True(requests.Success && int.Parse(requests.Groups[1].Value, CultureInfo.InvariantCulture) > 1000, report);
    }

    /// <summary>Kills a worker and waits until its slot is served by the next generation.</summary>
    private static async Task KillOne(FastLbUnderTest fastlb, int slot)
    {
        var worker = (await fastlb.Workers())[slot];
        var generation = (int)worker["generation"]!;
        RunningProgram.Signal((int)worker["pid"]!, "KILL");
        await Eventually.True(
            async () => (await fastlb.Workers())[slot] is var now && (int)now["generation"]! > generation && (string)now["state"]! == "ready",
            $"slot {slot} is served again");
    }

    private static async Task<(string Cookie, int Slot)> FirstVisit(RawClient client)
    {
        var answer = await client.Get("/");
        Assert.Contains("private", answer.Headers["cache-control"], StringComparison.Ordinal);
        return (CookieOf(answer), SlotOf(answer));
    }

    private static string CookieOf(RawAnswer answer) => CookiePattern().Match(answer.Headers["set-cookie"]).Value;

    private static int SlotOf(RawAnswer answer) => int.Parse(SlotPattern().Match(answer.Text).Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex RequestsPattern();

    [GeneratedRegex(@"FASTLB=[^;]+")]
    private static partial Regex CookiePattern();

    [GeneratedRegex(@"app/(\d+)")]
    private static partial Regex SlotPattern();
}
