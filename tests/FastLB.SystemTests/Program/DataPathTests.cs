using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace FastLB.SystemTests.Program;

/// <summary>Bytes through the whole program: bodies of all kinds, tunnels, idle connections, memory.</summary>
public abstract class DataPathTests(DemoFleet demo)
{
    [Fact]
    public async Task Pipelined_requests_are_answered_in_their_order()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        var requests = new StringBuilder();
        for (var i = 1; i <= 50; i++)
        {
            requests.Append($"GET /bytes/{i} HTTP/1.1\r\nHost: a\r\n\r\n");
        }

        await client.Send(requests.ToString());
        for (var i = 1; i <= 50; i++)
        {
            Assert.Equal(i, (await client.Read()).Body.Length);
        }
    }

    [Fact]
    public async Task A_chunked_body_comes_back_as_it_was_sent()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await client.Send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        await client.Send("5;ext=1\r\nhello\r\n1\r\n \r\n");
        await client.Send("5\r\nworld\r\n0\r\nTrailer: dropped\r\n\r\n");
        Assert.Equal("hello world", (await client.Read()).Text);
        Assert.Equal(200, (await client.Get("/healthz")).Status);
    }

    [Fact]
    public async Task An_HTTP_1_0_client_gets_an_answer_that_ends_with_its_connection()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await client.Send("GET /healthz HTTP/1.0\r\n\r\n");
        var answer = Encoding.ASCII.GetString((await client.ReadToEnd())!);
        Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("chunked", answer, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task HEAD_has_the_head_of_GET_and_no_body()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await client.Send("HEAD /bytes/1000 HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal("1000", (await client.Read(isHead: true)).Headers["content-length"]);
        Assert.Equal(7, (await client.Get("/bytes/7")).Body.Length);
    }

    [Fact]
    public async Task Expect_100_continue_is_passed_to_the_worker_and_its_100_to_the_client()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await client.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal(100, (await client.Read(informational: true)).Status);
        await client.Send("hello");
        Assert.Equal("hello", (await client.Read()).Text);
    }

    [Fact]
    public async Task The_worker_sees_who_the_client_is_and_not_what_the_client_claims()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        var answer = await client.Get(
            "/headers", "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nConnection: X-Forwarded-For, X-Secret\r\nX-Secret: s\r\nX-Kept: k\r\n");
        Assert.DoesNotContain("6.6.6.6", answer.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Secret", answer.Text, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("X-Kept: k", answer.Text, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("X-Forwarded-For: 127.0.0.1", answer.Text, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("X-Forwarded-Proto: http", answer.Text, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("X-Forwarded-Host: test", answer.Text, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_WebSocket_carries_five_megabytes_both_ways_and_closes_cleanly()
    {
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{demo.FastLb.Port}/ws"), CancellationToken.None);
        var message = RandomNumberGenerator.GetBytes(5 * 1024 * 1024);
        var send = socket.SendAsync(message, WebSocketMessageType.Binary, true, CancellationToken.None);
        var received = new byte[message.Length];
        var count = 0;
        for (ValueWebSocketReceiveResult part = default; !part.EndOfMessage;)
        {
            part = await socket.ReceiveAsync(received.AsMemory(count), CancellationToken.None);
            count += part.Count;
        }

        await send;
        Assert.Equal(message, received);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "done", CancellationToken.None);
        Assert.Equal(WebSocketState.Closed, socket.State);
    }

    [Fact]
    public async Task A_request_to_upgrade_that_the_worker_declines_stays_HTTP()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        Assert.Equal(200, (await client.Get("/healthz", "Connection: Upgrade\r\nUpgrade: something\r\n")).Status);
        Assert.Equal(200, (await client.Get("/healthz")).Status);
    }

    [Fact]
    public async Task A_gigabyte_up_and_a_gigabyte_down_arrive_whole_and_cost_no_memory()
    {
        const long length = 1L << 30;
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await client.Get("/bytes/10000000");
        var before = demo.FastLb.ResidentKilobytes();

        var moved = await MovedBytes();
        var down = await Download(client, length);
        var movedDown = await MovedBytes() - moved;
        Assert.True(movedDown > length / 2, $"only {movedDown} bytes on their way down were moved by the kernel");
        using var worker = await RawClient.Connect(await WorkerEndpoint());
        Assert.Equal(await Download(worker, length), down);

        // The echo comes back while the body goes up.
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await client.Send($"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        var read = client.ReadLarge(bytes => hash.AppendData(bytes.Span));
        foreach (var block in Pattern(length))
        {
            await client.Send(block);
        }

        Assert.Equal(200, await read);
        using var sent = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var block in Pattern(length))
        {
            sent.AppendData(block.Span);
        }

        Assert.Equal(Convert.ToHexString(sent.GetHashAndReset()), Convert.ToHexString(hash.GetHashAndReset()));

        // Its answer is in chunks, which are copied, so what was moved went up.
        var movedUp = await MovedBytes() - moved - movedDown;
        Assert.True(movedUp > length / 10, $"only {movedUp} bytes on their way up were moved by the kernel");
        var grown = demo.FastLb.ResidentKilobytes() - before;
        Assert.True(grown < 32 * 1024, $"resident memory grew by {grown} KB");
    }

    private async Task<long> MovedBytes() => (long)(await demo.FastLb.Status())["totals"]!["bytesMoved"]!;

    [Fact]
    public async Task Nine_thousand_idle_connections_are_kept_and_answered()
    {
        var clients = new List<RawClient>();
        try
        {
            for (var i = 0; i < 9_000; i++)
            {
                var client = await RawClient.Connect(demo.FastLb.Endpoint);
                clients.Add(client);
                Assert.Equal(200, (await client.Get("/healthz")).Status);
            }

            await Eventually.True(
                async () => (long)(await demo.FastLb.Status())["totals"]!["connectionsOpen"]! >= 9_000, "9,000 connections are open");
            foreach (var client in clients.Where((_, i) => i % 97 == 0))
            {
                Assert.Equal(200, (await client.Get("/healthz")).Status);
            }
        }
        finally
        {
            clients.ForEach(c => c.Dispose());
        }
    }

    [Theory]
    [InlineData(1, 20_000)]
    [InlineData(20, 100_000)]
    public async Task Requests_allocate_nothing_on_the_loop_one_by_one_and_pipelined(int depth, int count)
    {
        // One client, so that the number of connections, whose objects are made once, is the same in both runs. How many buffers are in
        // use at a time is up to chance; one more than ever before is made once, and not again in the next run.
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await SendRequests(client, depth, 5_000);
        long[] allocated = [await LoopAllocatedBytes(), -1];
        for (var run = 1; run <= 4 && allocated[0] != allocated[1]; run++)
        {
            await SendRequests(client, depth, count);
            allocated = [await LoopAllocatedBytes(), allocated[0]];
        }

        Assert.Equal(allocated[1], allocated[0]);
    }

    private async Task<IPEndPoint> WorkerEndpoint() => IPEndPoint.Parse((string)(await demo.FastLb.Workers())[0]["endpoint"]!);

    private async Task<long> LoopAllocatedBytes()
    {
        JsonNode status = await demo.FastLb.Status();
        return (long)status["loops"]![0]!["allocatedBytes"]!;
    }

    private static async Task SendRequests(RawClient client, int depth, int count)
    {
        var requests = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET /healthz HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n", depth)));
        for (var sent = 0; sent < count; sent += depth)
        {
            await client.Send(requests);
            for (var i = 0; i < depth; i++)
            {
                Assert.Equal(200, (await client.Read()).Status);
            }
        }
    }

    private static async Task<string> Download(RawClient client, long length)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var received = 0L;
        await client.Send($"GET /bytes/{length} HTTP/1.1\r\nHost: a\r\n\r\n");
        var status = await client.ReadLarge(bytes =>
        {
            received += bytes.Length;
            hash.AppendData(bytes.Span);
        });
        Assert.Equal((200, length), (status, received));
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    /// <summary>A body of any length whose blocks differ from each other.</summary>
    private static IEnumerable<ReadOnlyMemory<byte>> Pattern(long length)
    {
        const int blockLength = 65_521;
        var block = new byte[blockLength];
        new Random(7).NextBytes(block);
        for (var sent = 0L; sent < length; sent += blockLength)
        {
            BitConverter.TryWriteBytes(block, sent);
            yield return block.AsMemory(0, (int)Math.Min(blockLength, length - sent));
        }
    }
}
