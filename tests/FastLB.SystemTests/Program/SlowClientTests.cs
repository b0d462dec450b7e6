using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>Slow is not silent: what a client takes shows only in the kernel's queues, which the simulator has no part in.</summary>
public abstract class SlowClientTests(string engine) : TestsOfAnEngine(engine)
{
    private const int Length = 10_000_000;

    [Theory]
    [InlineData("http")]
    [InlineData("tcp")]
    public async Task A_client_that_reads_slowly_for_longer_than_the_limit_of_silence_gets_everything(string protocol)
    {
        using var worker = new ScriptedWorker(async (socket, _, _) =>
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {Length}\r\nConnection: close\r\n\r\n"));
            await socket.SendAsync(new byte[Length]);
            socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        });
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 1
            admin: { bind: ADMIN }
            timeouts: { body: 2s, tunnel: 2s }
            listeners: [{ bind: LISTEN, protocol: {{protocol}}, pool: app }]
            pools: { app: { workers: ["{{worker.Address}}"] } }
            """);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        await client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        for (var i = 0; i < 60; i++)
        {
            // The pace is what the claim is about; nothing is awaited here.
            await client.ReadBytes(20_000);
            await Task.Delay(100);
        }

        var rest = await client.ReadToEnd();
        Assert.NotNull(rest);
        Assert.True(rest.Length + (60 * 20_000) > Length, $"{rest.Length} bytes after the slow ones");
    }

    [Fact]
    public async Task A_client_that_takes_nothing_is_cut_off()
    {
        using var worker = new ScriptedWorker((socket, _, _) => socket.SendAsync(new byte[100 * Length]));
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 1
            admin: { bind: ADMIN }
            timeouts: { tunnel: 500ms }
            listeners: [{ bind: LISTEN, protocol: tcp, pool: app }]
            pools: { app: { workers: ["{{worker.Address}}"] } }
            """);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        await client.Send("GET / HTTP/1.1\r\n\r\n");
        await Eventually.True(
            async () => (long)(await fastlb.Status())["totals"]!["errors"]!["client-timeout"]! == 1, "the silent client is cut off");
    }
}
