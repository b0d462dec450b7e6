using System.Net.Sockets;
using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>What workers do wrong, over real sockets: each fault gets its answer, and none goes to the wrong client or looks whole.</summary>
public abstract class WorkerFailureTests(string engine) : TestsOfAnEngine(engine)
{
    [Theory]
    [InlineData("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")]
    [InlineData("length and encoding", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("no status", "HTTP/1.1\r\n\r\n")]
    [InlineData("not HTTP", "SSH-2.0-OpenSSH\r\n\r\n")]
    [InlineData("bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 0\n\n")]
    [InlineData("a folded header", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")]
    [InlineData("a malformed first chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")]
    public async Task A_malformed_answer_becomes_502(string what, string answer)
    {
        using var worker = new ScriptedWorker(answer);
        await using var fastlb = await Start(worker);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        var received = await client.Get("/");
        Assert.True(received.Status == 502, $"{what}: {received.Status} {received.Text}");
        Assert.StartsWith("502 ", received.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")]
    [InlineData("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")]
    [InlineData("a malformed later chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz")]
    public async Task A_truncated_answer_never_looks_complete(string framing, string answer)
    {
        using var worker = new ScriptedWorker(async (socket, _, _) =>
        {
            // In two pieces, so that the first is on its way to the client before the fault is there.
            await socket.SendAsync(Encoding.ASCII.GetBytes(answer[..answer.IndexOf("half", StringComparison.Ordinal)]));
            await socket.SendAsync(Encoding.ASCII.GetBytes(answer[answer.IndexOf("half", StringComparison.Ordinal)..]));
            socket.Shutdown(SocketShutdown.Both);
        });
        await using var fastlb = await Start(worker);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        await client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        var bytes = await client.ReadToEnd();
        var text = bytes is null ? "" : Encoding.ASCII.GetString(bytes);
        Assert.False(text.EndsWith("0\r\n\r\n", StringComparison.Ordinal), $"{framing}: {text}");
        Assert.True(bytes is null || text.StartsWith("HTTP/1.1 502", StringComparison.Ordinal), $"{framing}: {text}");
    }

    [Fact]
    public async Task An_answer_that_ends_with_its_connection_is_passed_on_in_chunks()
    {
        using var worker = new ScriptedWorker("HTTP/1.1 200 OK\r\n\r\nall of it", close: true);
        await using var fastlb = await Start(worker);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        Assert.Equal("all of it", (await client.Get("/")).Text);
        Assert.Equal("all of it", (await client.Get("/")).Text);
    }

    [Fact]
    public async Task Bytes_behind_an_answer_never_reach_the_next_client()
    {
        using var worker = new ScriptedWorker("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        await using var fastlb = await Start(worker);
        for (var i = 0; i < 5; i++)
        {
            using var client = await RawClient.Connect(fastlb.Endpoint);
            Assert.Equal("ok", (await client.Get("/")).Text);
        }
    }

    [Fact]
    public async Task A_worker_that_does_not_answer_in_time_gets_504_for_its_client()
    {
        using var worker = new ScriptedWorker((_, _, _) => Task.CompletedTask);
        await using var fastlb = await Start(worker);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        Assert.Equal(504, (await client.Get("/")).Status);
    }

    [Fact]
    public async Task An_early_refusal_reaches_a_client_that_still_uploads()
    {
        using var worker = new ScriptedWorker(async (socket, _, _) =>
        {
            await socket.SendAsync("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!"u8.ToArray());
            SocketServer.Reset(socket);
        });
        await using var fastlb = await Start(worker);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        await client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
        await client.Send(new byte[64 * 1024]);
        var answer = await client.Read();

        // Whether the worker's answer survives its own reset is up to the kernel; that the client is answered is up to us.
        Assert.Contains(answer.Status, new[] { 413, 502 });
        Assert.Equal("close", answer.Headers["connection"]);
    }

    [Fact]
    public async Task A_request_on_a_connection_that_the_worker_just_closed_is_sent_again()
    {
        // Every second request of a connection finds it reset, as when an idle connection is closed at the same moment.
        using var worker = new ScriptedWorker(async (socket, head, number) =>
        {
            if (number == 2)
            {
                SocketServer.Reset(socket);
                return;
            }

            await ScriptedWorker.Answer(socket, head.Split(' ')[1]);
        });
        await using var fastlb = await Start(worker);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        for (var i = 0; i < 20; i++)
        {
            var answer = await client.Get($"/{i}");
            Assert.Equal((200, $"/{i}"), (answer.Status, answer.Text));
        }
    }

    [Fact]
    public async Task A_POST_that_was_sent_reaches_one_worker_only_and_fails_with_502()
    {
        using var first = new ScriptedWorker(Break);
        using var second = new ScriptedWorker(Break);
        await using var fastlb = await Start(first, second);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        await client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
        Assert.Equal(502, (await client.Read()).Status);
        Assert.Equal(1, first.Requests + second.Requests);

        // The control: a GET that ends the same way is tried at both.
        Assert.Equal(502, (await client.Get("/")).Status);
        Assert.Equal(3, first.Requests + second.Requests);

        static Task Break(Socket socket, string head, int number)
        {
            SocketServer.Reset(socket);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_worker_that_refuses_connections_costs_no_request()
    {
        var gone = new ScriptedWorker("");
        gone.Dispose();
        using var alive = new ScriptedWorker((socket, _, _) => ScriptedWorker.Answer(socket, "alive"));
        await using var fastlb = await Start(gone, alive);
        for (var i = 0; i < 30; i++)
        {
            using var client = await RawClient.Connect(fastlb.Endpoint);
            await client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            Assert.Equal("alive", (await client.Read()).Text);
        }
    }

    [Fact]
    public async Task A_request_waits_for_the_first_worker_and_gets_503_when_none_comes()
    {
        await using var fastlb = await FastLbUnderTest.Start("""
            loops: 1
            admin: { bind: ADMIN }
            timeouts: { queue: 300ms }
            listeners:
              - { bind: LISTEN, routes: [{ path: /never/, pool: never }, { path: /, pool: app }] }
            pools:
              app: { run: { command: DEMO, instances: 1 } }
              never: { run: { command: [sleep, "1000"], instances: 1, readyTimeout: 1h } }
            """, waitUntilReady: false);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        var answer = await client.Get("/never/");
        Assert.Equal((503, "1"), (answer.Status, answer.Headers["retry-after"]));
        await Eventually.True(async () => (await client.Get("/healthz")).Status == 200, "the other pool answers");
    }

    private static Task<FastLbUnderTest> Start(params ScriptedWorker[] workers) => FastLbUnderTest.Start($$"""
        loops: 1
        admin: { bind: ADMIN }
        timeouts: { response: 500ms }
        listeners: [{ bind: LISTEN, pool: app }]
        pools: { app: { strategy: round-robin, workers: [{{string.Join(", ", workers.Select(w => $"\"{w.Address}\""))}}] } }
        """);
}
