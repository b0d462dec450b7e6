using System.Runtime.Versioning;

namespace FastLB.SystemTests.Program;

/// <summary>Clients who are there before the workers are. These are real processes that begin to listen when the test says so.</summary>
[SupportedOSPlatform("linux")]
public sealed class SessionStartTests : IDisposable
{
    private const int Clients = 20;

    /// <summary>Says that it is there, waits for its file, then answers with its slot.</summary>
    private const string Worker = """
        const fs = require('fs'), http = require('http'), slot = process.env.FASTLB_SLOT;
        const server = http.createServer((_, answer) => answer.end(slot));
        const look = setInterval(() => {
          if (fs.existsSync(`open-${slot}`)) {
            clearInterval(look);
            server.listen(process.env.PORT, process.env.HOST);
          }
        }, 2);
        fs.writeFileSync(`waits-${slot}`, '');
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [NeedsToolsFact("node")]
    public async Task The_first_worker_up_does_not_get_every_session()
    {
        await using var fastlb = await Start("true");
        var answers = Ask(fastlb);
        await Open(fastlb, 0);
        await Open(fastlb, 1);

        var slots = (await answers).Select(answer => answer.Text).Order().ToArray();

        Assert.Equal([.. Enumerable.Repeat("0", Clients / 2), .. Enumerable.Repeat("1", Clients / 2)], slots);
        Assert.All(await answers, answer => Assert.StartsWith("FASTLB=", answer.Headers["set-cookie"], StringComparison.Ordinal));
    }

    [NeedsToolsFact("node")]
    public async Task Where_no_sessions_stick_the_first_worker_up_answers_at_once()
    {
        await using var fastlb = await Start("false");
        var answers = Ask(fastlb);
        await Open(fastlb, 0);

        // The second one starts still, and nobody waits for it.
        Assert.All(await answers, answer => Assert.Equal("0", answer.Text));
    }

    [NeedsToolsFact("node")]
    public async Task Sessions_begin_at_the_first_worker_when_the_second_one_does_not_come()
    {
        await using var fastlb = await Start("true");
        var answers = Ask(fastlb);
        await Open(fastlb, 0);

        Assert.All(await answers, answer => Assert.Equal("0", answer.Text));
        Assert.Contains("opens while 1 of its 2 workers has not become ready within 1.0 s of the first one", fastlb.Program.Errors, StringComparison.Ordinal);
    }

    private async Task<FastLbUnderTest> Start(string sticky)
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "worker.js"), Worker);
        var fastlb = await FastLbUnderTest.Start(
            $$"""
            loops: 1
            admin: { bind: ADMIN }
            timeouts: { queue: 25s }
            listeners: [{ bind: LISTEN, pool: app }]
            pools:
              app:
                strategy: round-robin
                sticky: {{sticky}}
                run: { command: [node, worker.js], directory: {{_directory}}, instances: 2, readyTimeout: 30s }
            """,
            waitUntilReady: false);
        await Eventually.True(
            () => Enumerable.Range(0, 2).All(slot => File.Exists(Path.Combine(_directory, $"waits-{slot}"))), "both workers wait for their files", () => fastlb.Program.Errors);
        return fastlb;
    }

    /// <summary>The answers to as many clients, each of whom asks as soon as this is called.</summary>
    private static Task<RawAnswer[]> Ask(FastLbUnderTest fastlb) => Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
    {
        using var client = await RawClient.Connect(fastlb.Endpoint);
        return await client.Get("/");
    }));

    /// <summary>Lets a worker listen, and comes back when FastLB has seen that.</summary>
    private async Task Open(FastLbUnderTest fastlb, int slot)
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, $"open-{slot}"), "");
        await Eventually.True(
            () => fastlb.Program.Errors.Contains($"app/{slot} generation 1 is ready", StringComparison.Ordinal), $"worker {slot} is ready", () => fastlb.Program.Errors);
    }
}
