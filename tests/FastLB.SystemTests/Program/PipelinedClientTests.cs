using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>Clients that send sixteen requests before they read an answer, to real workers that are killed meanwhile.</summary>
public abstract class PipelinedClientTests(string engine) : TestsOfAnEngine(engine)
{
    private const int Depth = 16;

    [Fact]
    public Task Every_answer_of_the_demo_worker_is_right_and_in_order_while_workers_are_killed() => AskWhileWorkersDie(
        "run: { command: DEMO, instances: 2 }",
        chance => chance.Next(1, 20_000) is var length ? ($"/bytes/{length}", answer => answer.Body.Length == length) : default);

    [NeedsToolsFact("node")]
    public Task Every_answer_of_Node_is_right_and_in_order_while_workers_are_killed() => AskWhileWorkersDie(
        $"run: {{ command: [node, server.js], directory: {Repository.Example("node-app")}, instances: 2 }}",
        chance => chance.Next(3) switch
        {
            0 => ("/", answer => answer.Text.StartsWith("Hello from app/", StringComparison.Ordinal)),
            1 => ("/healthz", answer => answer.Text == "ok\n"),
            _ => ("/none", answer => answer.Status == 404 && answer.Text.StartsWith("there is only /", StringComparison.Ordinal)),
        });

    private static async Task AskWhileWorkersDie(string run, Func<Random, (string Path, Func<RawAnswer, bool> IsRight)> question)
    {
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 1
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN, pool: app }]
            pools:
              app:
                strategy: round-robin
                {{run}}
            """);
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 4).Select(seed => Ask(new Random(seed))).ToArray();
        for (var slot = 0; slot < 2; slot++)
        {
            var worker = (await fastlb.Workers())[slot];
            await Eventually.True(async () => await StillAsk() && (long)(await fastlb.Workers())[slot]["requests"]! > 500, "requests run");
            RunningProgram.Signal((int)worker["pid"]!, "KILL");
            await Eventually.True(
                async () => await StillAsk() && (await fastlb.Workers())[slot] is var now && (int)now["generation"]! == 2 && (string)now["state"]! == "ready"
                    && (long)now["requests"]! > 500,
                "the slot serves requests again");
        }

        await stop.CancelAsync();
        await Task.WhenAll(clients);

        async Task<bool> StillAsk()
        {
            foreach (var client in clients.Where(c => c.IsCompleted))
            {
                await client;
            }

            return true;
        }

        async Task Ask(Random chance)
        {
            using var client = await RawClient.Connect(fastlb.Endpoint);
            while (!stop.IsCancellationRequested)
            {
                var asked = Enumerable.Range(0, Depth).Select(_ => question(chance)).ToArray();
                var requests = new StringBuilder();
                foreach (var (path, _) in asked)
                {
                    requests.Append($"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
                }

                await client.Send(requests.ToString());
                foreach (var (path, isRight) in asked)
                {
                    var answer = await client.Read();
                    Assert.True(isRight(answer), $"{path} got {answer.Status} with {answer.Body.Length} bytes: {answer.Text[..Math.Min(100, answer.Text.Length)]}");
                }
            }
        }
    }
}
