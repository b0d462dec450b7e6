namespace FastLB.SystemTests.Program;

/// <summary>What clients see of a FastLB that stops.</summary>
public abstract class DrainTests(string engine) : TestsOfAnEngine(engine)
{
    private const string OneWorker = """
        loops: 2
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, pool: app }]
        pools: { app: { run: { command: DEMO, instances: 1 } } }
        """;

    [Fact]
    public async Task A_client_that_connected_before_the_stop_and_speaks_only_after_it_is_answered()
    {
        await using var fastlb = await FastLbUnderTest.Start(OneWorker);
        var clients = new List<RawClient>();
        for (var i = 0; i < 16; i++)
        {
            clients.Add(await RawClient.Connect(fastlb.Endpoint));
        }

        fastlb.Program.Signal("TERM");
        await Eventually.True(() => fastlb.Program.Errors.Contains("draining:", StringComparison.Ordinal), "the stop", () => fastlb.Program.Errors);
        foreach (var client in clients)
        {
            var answer = await client.Get("/");
            Assert.Equal(200, answer.Status);
            client.Dispose();
        }

        await fastlb.Program.Exit(TimeSpan.FromSeconds(30));
        Assert.Equal(0, fastlb.Program.ExitCode);
    }

    [Fact]
    public async Task A_client_that_says_nothing_at_all_is_closed_although_the_kernel_keeps_it_for_a_second()
    {
        await using var fastlb = await FastLbUnderTest.Start($"timeouts: {{ head: 500ms }}\n{OneWorker}");
        using var silent = await RawClient.Connect(fastlb.Endpoint);
        Assert.Empty(await silent.ReadToEnd() ?? throw new InvalidOperationException("it was reset"));
    }
}
