using System.Net.WebSockets;
using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>WebSockets with a client of the framework's and the demo worker at the other end, while processes come and go.</summary>
public abstract class WebSocketTests(string engine) : TestsOfAnEngine(engine)
{
    private const string Configuration = """
        loops: 2
        admin: { bind: ADMIN }
        timeouts: { drain: 4s }
        listeners: [{ bind: LISTEN, pool: app }]
        pools: { app: { run: { command: DEMO, instances: 1 } } }
        """;

    [Fact]
    public async Task A_stop_tells_every_WebSocket_that_FastLB_goes_away()
    {
        await using var fastlb = await FastLbUnderTest.Start(Configuration);
        var clients = new List<ClientWebSocket>();
        for (var i = 0; i < 8; i++)
        {
            clients.Add(await Connect(fastlb));
        }

        fastlb.Program.Signal("TERM");
        foreach (var client in clients)
        {
            Assert.Equal((WebSocketCloseStatus)1001, await AwaitClose(client));
            client.Dispose();
        }

        await fastlb.Program.Exit(TimeSpan.FromSeconds(30));
        Assert.Equal(0, fastlb.Program.ExitCode);
        Assert.DoesNotContain("cut off", fastlb.Program.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rolling_restart_tells_them_to_come_back_and_the_old_process_goes()
    {
        await using var fastlb = await FastLbUnderTest.Start(Configuration);
        using var client = await Connect(fastlb);
        var before = (int)(await fastlb.Workers())[0]["pid"]!;
        fastlb.Program.Signal("USR2");
        Assert.Equal((WebSocketCloseStatus)1012, await AwaitClose(client));
        await Eventually.True(
            async () => (await fastlb.Workers()) is [var only] && (int)only["pid"]! != before && (string)only["state"]! == "ready",
            "only the new process is there",
            () => fastlb.Program.Errors);
        Assert.DoesNotContain("still had requests in flight", fastlb.Program.Errors, StringComparison.Ordinal);
        using var again = await Connect(fastlb);
        var upgrades = (await fastlb.Status())["pools"]![0]!["upgrades"]!;
        Assert.Equal((2, 2, 1), ((int)upgrades["opened"]!, (int)upgrades["messagesToClients"]!, (int)upgrades["toldToClose"]!));
        Assert.Contains("fastlb_pool_websocket_messages_total{pool=\"app\",direction=\"from-clients\"} 2\n", await fastlb.Metrics(), StringComparison.Ordinal);
    }

    /// <summary>Connects and exchanges a message, so that both processes know of it.</summary>
    private static async Task<ClientWebSocket> Connect(FastLbUnderTest fastlb)
    {
        var client = new ClientWebSocket();
        await client.ConnectAsync(new Uri($"ws://127.0.0.1:{fastlb.Port}/ws"), Limit());
        await client.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, Limit());
        var bytes = new byte[1024];
        var answer = await client.ReceiveAsync(bytes, Limit());
        Assert.Contains("hello", Encoding.UTF8.GetString(bytes, 0, answer.Count), StringComparison.Ordinal);
        return client;
    }

    private static async Task<WebSocketCloseStatus?> AwaitClose(ClientWebSocket client)
    {
        var answer = await client.ReceiveAsync(new byte[1024], Limit());
        Assert.Equal(WebSocketMessageType.Close, answer.MessageType);
        await client.CloseOutputAsync(answer.CloseStatus!.Value, null, Limit());
        return answer.CloseStatus;
    }

    private static CancellationToken Limit() => new CancellationTokenSource(TimeSpan.FromSeconds(20)).Token;
}
