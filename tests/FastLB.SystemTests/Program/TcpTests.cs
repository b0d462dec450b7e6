using System.Net.Sockets;

namespace FastLB.SystemTests.Program;

/// <summary>A TCP listener before servers of the test's own, which do with the bytes what the claim needs.</summary>
public abstract class TcpTests(string engine) : TestsOfAnEngine(engine)
{
    [Theory]
    [InlineData("copy", "copy (configured)")]
    [InlineData("splice", "splice (configured)")]
    [InlineData("auto", "splice (auto: ")]
    [InlineData("sockmap", "s")]
    public async Task Bytes_go_both_ways_and_each_direction_ends_on_its_own(string acceleration, string said)
    {
        using var server = new EchoAfterEnd();
        await using var fastlb = await Start(server.Address, acceleration);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        var message = new byte[3_000_000];
        new Random(1).NextBytes(message);
        await client.Send(message);

        // The server answers only when it has seen the end of this direction, so the other one has to outlive it.
        client.EndSending();
        Assert.Equal(message, await client.ReadToEnd());

        // Where BPF is not allowed sockmap becomes splice, and says so.
        var status = await fastlb.Status();
        Assert.StartsWith(said, (string)status["listeners"]![0]!["acceleration"]!, StringComparison.Ordinal);
        Assert.Equal((message.Length, message.Length), ((long)status["totals"]!["bytesFromClients"]!, (long)status["totals"]!["bytesToClients"]!));
        Assert.Equal(acceleration != "copy", (long)status["totals"]!["bytesMoved"]! > 0);
    }

    [Fact]
    public async Task A_reset_on_one_side_is_a_reset_on_the_other()
    {
        using var server = new EchoAfterEnd();
        await using var fastlb = await Start(server.Address);
        using (var client = await RawClient.Connect(fastlb.Endpoint))
        {
            await client.Send("hello");
            await Eventually.True(() => server.BytesReceived == 5, "the server has the bytes");
            client.Reset();
        }

        await Eventually.True(() => server.Resets == 1, "the server sees the reset");
    }

    [NeedsToolsFact("ss")]
    public async Task Connections_within_the_machine_are_not_paced()
    {
        using var server = new EchoAfterEnd();
        await using var fastlb = await Start(server.Address);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        await client.Send("hello");
        await Eventually.True(() => server.BytesReceived == 5, "the server has the bytes");

        // FastLB's ends only: the client's and the server's have what the system gives them.
        foreach (var end in (string[])[$"sport = :{fastlb.Port}", $"dport = :{server.Address.Split(':')[1]}"])
        {
            var shown = await RunningProgram.OutputOf("ss", "-tinH", "state", "established", $"( {end} )");
            Assert.Matches(@"\b(cubic|reno)\b", shown);
        }
    }

    [Fact]
    public async Task A_client_whose_server_is_not_there_is_refused()
    {
        using var gone = new EchoAfterEnd();
        gone.Dispose();
        await using var fastlb = await Start(gone.Address);
        try
        {
            using var client = await RawClient.Connect(fastlb.Endpoint);
            Assert.Null(await client.ReadToEnd());
        }
        catch (SocketException failure) when (failure.SocketErrorCode == SocketError.ConnectionReset)
        {
            // The reset was quicker than the look at how the connect ended.
        }
    }

    private static Task<FastLbUnderTest> Start(string address, string acceleration = "auto") => FastLbUnderTest.Start($$"""
        loops: 1
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, protocol: tcp, pool: app }]
        pools: { app: { tcp: { acceleration: {{acceleration}} }, workers: ["{{address}}"] } }
        """);

    /// <summary>Reads until its client has ended its stream, then sends everything back.</summary>
    private sealed class EchoAfterEnd : IDisposable
    {
        private readonly SocketServer _server;
        private int _bytesReceived;
        private int _resets;

        public EchoAfterEnd() => _server = new SocketServer(Serve);

        public string Address => _server.Address;

        public int BytesReceived => Volatile.Read(ref _bytesReceived);

        public int Resets => Volatile.Read(ref _resets);

        public void Dispose() => _server.Dispose();

        private async Task Serve(Socket socket)
        {
            using var received = new MemoryStream();
            var buffer = new byte[64 * 1024];
            try
            {
                for (int read; (read = await socket.ReceiveAsync(buffer)) > 0;)
                {
                    received.Write(buffer, 0, read);
                    Interlocked.Add(ref _bytesReceived, read);
                }

                await socket.SendAsync(received.ToArray());
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                Interlocked.Increment(ref _resets);
            }
        }
    }
}
