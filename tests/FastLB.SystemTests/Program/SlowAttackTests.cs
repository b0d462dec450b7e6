using System.Net;

namespace FastLB.SystemTests.Program;

/// <summary>A thousand clients that are slow on purpose, by slowhttptest, and one that is not: it gets all its answers meanwhile.</summary>
public abstract class SlowAttackTests(string engine) : TestsOfAnEngine(engine)
{
    private const int Attackers = 1_000;

    [NeedsToolsFact("slowhttptest")]
    public Task Slow_heads_keep_nobody_else_waiting() => Attack("-H", "-u", "/", "-i", "1");

    [NeedsToolsFact("slowhttptest")]
    public Task Slow_bodies_keep_nobody_else_waiting() => Attack("-B", "-u", "/echo", "-s", "8192", "-i", "1");

    [NeedsToolsFact("slowhttptest")]
    public Task Slow_readers_keep_nobody_else_waiting() => Attack("-X", "-u", "/bytes/3000000", "-w", "2048", "-y", "4096", "-n", "1", "-z", "64", "-k", "3");

    private static async Task Attack(string kind, string option, string path, params string[] rest)
    {
        await using var fastlb = await FastLbUnderTest.Start("""
            loops: 1
            admin: { bind: ADMIN }
            timeouts: { head: 2s, body: 2s }
            listeners: [{ bind: LISTEN, pool: app, maxConnections: 5000, tcp: { sendBuffer: 64KB } }]
            pools: { app: { run: { command: DEMO, instances: 2 } } }
            """);

        // The send buffer is kept small so that FastLB has to hold what the slow readers do not take, instead of the kernel.
        using var attack = RunningProgram.Start(
            "slowhttptest", [kind, option, fastlb.Url(path).ToString(), .. rest, "-c", $"{Attackers}", "-r", "500", "-l", "5", "-p", "15"]);
        var (answered, mostAttackers) = (0, 0L);
        while (!attack.HasExited)
        {
            // Each request comes by a connection of its own, so it needs a place beside the attackers and not only a turn.
            using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(20) };
            try
            {
                using var answer = await http.GetAsync(fastlb.Url("/bytes/10000"));
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                Assert.Equal(10_000, (await answer.Content.ReadAsByteArrayAsync()).Length);
            }
            catch (HttpRequestException failure)
            {
                Assert.Fail($"{failure}\n{await http.GetStringAsync(fastlb.Admin("/requests?failed"))}\n{fastlb.Program.Errors}");
            }

            answered++;
            mostAttackers = Math.Max(mostAttackers, (long)(await fastlb.Status())["listeners"]![0]!["connections"]!);
        }

        await attack.Exit(TimeSpan.FromSeconds(20));
        Assert.True(answered > 0, "no answer during the attack");
        Assert.True(mostAttackers > Attackers / 5, $"never more than {mostAttackers} connections: that was no attack\n{attack.Output}{attack.Errors}");
        Assert.Matches("service available:.*YES", attack.Output);
        Assert.False(fastlb.Program.HasExited, fastlb.Program.Errors);
    }
}

public sealed class SlowAttackOnEpollTests() : SlowAttackTests("epoll");

public sealed class SlowAttackOnAutoTests() : SlowAttackTests("auto");
