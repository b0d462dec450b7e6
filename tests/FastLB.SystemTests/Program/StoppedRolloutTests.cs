using System.Net;

namespace FastLB.SystemTests.Program;

/// <summary>A reload brings a command that does not come up: what serves stays as it was, says so, and is replaced when the command works.</summary>
public abstract class StoppedRolloutTests(string engine) : TestsOfAnEngine(engine)
{
    private const string Working = """
        loops: 2
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, pool: app }]
        pools: { app: { run: { command: DEMO, instances: 2 } } }
        """;

    [Fact]
    public async Task A_pool_that_a_rolling_restart_left_behind_stays_whole_and_the_next_reload_tries_again()
    {
        await using var fastlb = await FastLbUnderTest.Start(Working);
        var broken = Working.Replace("DEMO", "[sh, -c, exit 7]", StringComparison.Ordinal);
        await fastlb.Reload(broken);
        await Stopped(fastlb, times: 1);
        await Eventually.True(async () => (await fastlb.Workers()).Select(Describe).SequenceEqual(["ready true", "ready true"]), "both as before", () => fastlb.Program.Errors);

        // A worker that ends meanwhile is followed by one that comes up.
        var killed = (int)(await fastlb.Workers())[1]["pid"]!;
        RunningProgram.Signal(killed, "KILL");
        await Eventually.True(
            async () => (await fastlb.Workers())[1] is var worker && (int?)worker["pid"] != killed && Describe(worker) == "ready true", "another worker", () => fastlb.Program.Errors);

        // Who wants more workers gets more like these, and nothing is tried again for it.
        using (var http = new HttpClient())
        {
            using var scaled = await http.PutAsync(fastlb.Admin("/pools/app/instances"), new StringContent("3"));
            await Eventually.True(async () => (await fastlb.Workers()).Select(Describe).SequenceEqual(Enumerable.Repeat("ready true", 3)), "a third worker", () => fastlb.Program.Errors);
            await Stopped(fastlb, times: 1);
            using var back = await http.PutAsync(fastlb.Admin("/pools/app/instances"), new StringContent("configured"));
            await Eventually.True(async () => (await fastlb.Workers()).Count == 2, "two workers again", () => fastlb.Program.Errors);
        }

        var (_, text) = await fastlb.Reload(broken);
        Assert.Equal("reloaded: nothing has changed; the last rolling restart of app had stopped; what is not as configured is replaced", text.TrimEnd());
        await Stopped(fastlb, times: 2);

        // As it was: nothing has to be replaced.
        await Eventually.True(async () => (await fastlb.Workers()).Select(Describe).SequenceEqual(["ready true", "ready true"]), "both as before", () => fastlb.Program.Errors);
        var pids = (await fastlb.Workers()).Select(w => (int)w["pid"]!).ToArray();
        (_, text) = await fastlb.Reload(Working);
        Assert.Equal("reloaded: changed pool app; the last rolling restart of app had stopped; what is not as configured is replaced", text.TrimEnd());
        await Eventually.True(async () => (await fastlb.Workers()).Select(Describe).SequenceEqual(["ready false", "ready false"]), "both as configured", () => fastlb.Program.Errors);
        Assert.Equal(pids, (await fastlb.Workers()).Select(w => (int)w["pid"]!));

        await fastlb.Reload(Working.Replace("instances: 2", "instances: 2, environment: { COLOUR: blue }", StringComparison.Ordinal));
        await Eventually.True(
            async () => (await fastlb.Workers()) is var workers && workers.All(w => Describe(w) == "ready false" && !pids.Contains((int)w["pid"]!)), "new processes", () => fastlb.Program.Errors);
    }

    [Fact]
    public async Task A_second_signal_does_not_wait_for_a_worker_that_takes_its_time_to_stop()
    {
        await using var fastlb = await FastLbUnderTest.Start(Working
            .Replace("DEMO, instances: 2", "DEMO, instances: 2, killTimeout: 10m", StringComparison.Ordinal)
            .Replace("listeners:", "timeouts: { drain: 10m }\nlisteners:", StringComparison.Ordinal));
        using var client = await RawClient.Connect(fastlb.Endpoint);
        await client.Send("GET /slow?ms=60000 HTTP/1.1\r\nHost: test\r\n\r\n");
        await Eventually.True(async () => (await fastlb.Workers()).Sum(w => (int)w["inFlight"]!) == 1, "the request at its worker");
        foreach (var worker in await fastlb.Workers())
        {
            // It will not hear that it is to stop.
            RunningProgram.Signal((int)worker["pid"]!, "STOP");
        }

        fastlb.Program.Signal("TERM");
        await Eventually.True(() => fastlb.Program.Errors.Contains("draining: ", StringComparison.Ordinal), "the drain", () => fastlb.Program.Errors);
        await Eventually.True(
            () =>
            {
                // One that comes within half a second of the first is taken for the same.
                fastlb.Program.Signal("TERM");
                return fastlb.Program.Errors.Contains("again: stopping at once", StringComparison.Ordinal);
            },
            "the second signal");
        await fastlb.Program.Exit(TimeSpan.FromSeconds(30));
        Assert.Contains("stopping at once: 1 connections are cut off", fastlb.Program.Errors, StringComparison.Ordinal);
    }

    private static Task Stopped(FastLbUnderTest fastlb, int times) => Eventually.True(
        () => fastlb.Program.Errors.Split("rolling restart stopped at app/0").Length - 1 == times, $"{times} rolling restarts that stopped", () => fastlb.Program.Errors);

    private static string Describe(System.Text.Json.Nodes.JsonNode worker) => $"{worker["state"]} {worker["isBehind"]}";
}
