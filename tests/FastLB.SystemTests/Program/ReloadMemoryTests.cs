using System.Net;
using System.Net.Sockets;
using FastLB.Configuration;

namespace FastLB.SystemTests.Program;

/// <summary>
/// Reloads leave nothing behind. Listeners of every kind, pools and routes come and go some hundreds of times, as they do where a deployment writes the
/// configuration; descriptors are counted on the built program, the heap on a server in this process, where a collection can be forced.
/// </summary>
public abstract class ReloadMemoryTests(string engine) : TestsOfAnEngine(engine)
{
    private const int Rounds = 120;

    /// <summary>Until everything has been there once that is made once and kept.</summary>
    private const int FirstRounds = 40;

    /// <summary>Through each listener a request goes once in so many rounds.</summary>
    private const int RoundsPerRequest = 20;

    /// <summary>
    /// Between the first rounds and the last. What comes and goes by itself was seen to be 200 KB of it; one forgotten object per listener that holds
    /// it, as a waiter for connections' places once did, adds some 95 KB in each round.
    /// </summary>
    private const int MostHeapGrowth = 1_000_000;

    [Fact]
    public async Task Hundreds_of_listeners_pools_and_routes_that_came_and_went_leave_no_descriptor()
    {
        using var worker = new ScriptedWorker((socket, _, _) => ScriptedWorker.Answer(socket, "ok"));
        var directory = Directory.CreateTempSubdirectory("fastlb-test-");
        var addresses = AddressesIn(directory);
        var plain = Plain("LISTEN", worker);
        await using var fastlb = await FastLbUnderTest.Start($"admin: {{ bind: ADMIN }}\n{plain}");
        var few = 0;
        for (var round = 1; round <= Rounds; round++)
        {
            var own = addresses[round % 3];
            var more = More(round, "LISTEN", own, worker);
            await Accepted(fastlb.Reload($"admin: {{ bind: ADMIN }}\n{more}"));
            if (round % RoundsPerRequest == 0)
            {
                await AskAll(fastlb.Endpoint, own);
            }

            await Accepted(fastlb.Reload($"admin: {{ bind: ADMIN }}\n{plain}"));
            if (round == FirstRounds)
            {
                few = await Rest(fastlb);
            }
        }

        await Eventually.True(() => fastlb.OpenDescriptors() <= few, $"no more descriptors than the {few} after the first rounds", () => $"{fastlb.OpenDescriptors()}\n{Descriptors(fastlb)}");
        Assert.Single((await fastlb.Status())["listeners"]!.AsArray());
        Assert.Single((await fastlb.Status())["pools"]!.AsArray());
        directory.Delete(recursive: true);
    }

    [Fact]
    public async Task Hundreds_of_listeners_pools_and_routes_that_came_and_went_leave_the_heap_as_it_was()
    {
        using var worker = new ScriptedWorker((socket, _, _) => ScriptedWorker.Answer(socket, "ok"));
        var directory = Directory.CreateTempSubdirectory("fastlb-test-");
        var addresses = AddressesIn(directory);
        var bind = $"127.0.0.1:{FastLbUnderTest.FreePort()}";
        var plain = Read(Plain(bind, worker));
        using var logs = new NoLog();
        await using (var server = Server.Start(plain, logs))
        {
            var before = 0L;
            for (var round = 1; round <= Rounds; round++)
            {
                var own = addresses[round % 3];
                await Accepted(server, Read(More(round, bind, own, worker)));
                if (round % RoundsPerRequest == 0)
                {
                    await AskAll(IPEndPoint.Parse(bind), own);
                }

                await Accepted(server, plain);
                before = round == FirstRounds ? Heap() : before;
            }

            await Eventually.True(() => Heap() < before + MostHeapGrowth, $"a heap of hardly more than {before} bytes", () => $"{Heap()}");
        }

        directory.Delete(recursive: true);
    }

    private static string Plain(string bind, ScriptedWorker worker) => $$"""
        loops: 2
        maxConnections: 1000
        timeouts: { drain: 50ms }
        listeners:
          - { bind: "{{bind}}", pool: app }
        pools:
          app: { workers: ["{{worker.Address}}"] }
        """;

    /// <summary>The same with listeners, pools and routes beside it whose names are other ones each time, and with other guards for the pool that stays.</summary>
    private static string More(int round, string bind, Addresses own, ScriptedWorker worker) => $$"""
        loops: 2
        maxConnections: 1000
        timeouts: { drain: 50ms }
        listeners:
          - { bind: "{{bind}}", routes: [{ path: /other{{round}}/, name: "other{{round}}", pool: "extra{{round}}" }, { pool: app }] }
          - { bind: "{{own.Http}}", maxConnections: 50, whenFull: wait, pool: "extra{{round}}" }
          - { bind: "{{own.Routed}}", routes: [{ host: "host{{round}}.test", name: "named{{round}}", pool: app }, { path: /deep/er/, pool: app }, { pool: "extra{{round}}" }] }
          - { bind: "{{own.Tcp}}", protocol: tcp, whenFull: wait, pool: "tcp{{round}}" }
          - { bind: "unix:{{own.Unix}}", whenFull: wait, pool: app }
        pools:
          app: { workers: ["{{worker.Address}}"], limits: { maxRequests: {{100 + round}} } }
          "extra{{round}}": { strategy: round-robin, sticky: { cookie: WHERE }, limits: { worker: { maxConnections: 20 } }, workers: ["{{worker.Address}}"] }
          "tcp{{round}}": { workers: ["{{worker.Address}}"] }
        """;

    private static async Task Accepted(Task<(HttpStatusCode Status, string Text)> reload)
    {
        var (status, text) = await reload;
        Assert.True(status == HttpStatusCode.OK, text);
    }

    private static async Task Accepted(Server server, Settings settings)
    {
        var result = await server.ReloadAsync(settings, forgetsChanges: false);
        Assert.True(result.IsDone, result.Text);
    }

    private static Settings Read(string yaml)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, $"engine: {FastLbUnderTest.Engine}\n{yaml}");
            var result = ConfigurationFile.Load(file);
            Assert.True(result.Settings is not null, string.Join('\n', result.Errors));
            return result.Settings;
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Three sets, so that nobody connects where the one before has only just begun to go, on addresses that no other program of this machine uses.</summary>
    private static Addresses[] AddressesIn(DirectoryInfo directory)
    {
        var network = $"127.{Random.Shared.Next(1, 255)}.{Random.Shared.Next(1, 255)}";
        return [.. Enumerable.Range(0, 3).Select(set => new Addresses($"{network}.{(3 * set) + 1}:8000", $"{network}.{(3 * set) + 2}:8000", $"{network}.{(3 * set) + 3}:8000", $"{directory.FullName}/{set}.sock"))];
    }

    private static async Task AskAll(EndPoint plain, Addresses own)
    {
        foreach (var endpoint in (EndPoint[])[plain, .. ((string[])[own.Http, own.Routed, own.Tcp]).Select(IPEndPoint.Parse), new UnixDomainSocketEndPoint(own.Unix)])
        {
            using var client = await RawClient.Connect(endpoint);
            var answer = await client.Get("/");
            Assert.Equal((200, "ok"), (answer.Status, answer.Text));
        }
    }

    /// <summary>How many descriptors there are when those that go have gone: their number is the least that is seen until it is the same for a while.</summary>
    private static async Task<int> Rest(FastLbUnderTest fastlb)
    {
        var (least, looks) = (int.MaxValue, 0);
        await Eventually.True(
            () =>
            {
                var open = fastlb.OpenDescriptors();
                looks = open < least ? 0 : looks + 1;
                least = Math.Min(least, open);
                return looks == 100;
            },
            "descriptors come to rest");
        return least;
    }

    private static string Descriptors(FastLbUnderTest fastlb) => string.Join('\n', Directory.GetFiles($"/proc/{fastlb.Program.Pid}/fd")
        .Select(f => new FileInfo(f).LinkTarget ?? "gone").Select(t => t.Split(':')[0]).GroupBy(t => t).Select(g => $"{g.Key} {g.Count()}"));

    private static long Heap() => GC.GetTotalMemory(forceFullCollection: true);

    /// <summary>Where the listeners of some rounds listen, one of each kind.</summary>
    private sealed record Addresses(string Http, string Routed, string Tcp, string Unix);

    private sealed class NoLog : Microsoft.Extensions.Logging.ILoggerFactory
    {
        public void AddProvider(Microsoft.Extensions.Logging.ILoggerProvider provider)
        {
        }

        public Microsoft.Extensions.Logging.ILogger CreateLogger(string categoryName) => Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance;

        public void Dispose()
        {
        }
    }
}
