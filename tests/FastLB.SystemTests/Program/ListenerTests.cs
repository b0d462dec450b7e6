using System.Net;
using System.Net.Sockets;
using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>Listeners on real sockets: whose connections they take and how many, what the kernel is told, sockets that somebody else has opened.</summary>
public abstract class ListenerTests(string engine) : TestsOfAnEngine(engine)
{
    private const string Answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task PROXY_headers_are_read_and_written_on_the_way()
    {
        var heads = new List<string>();
        using var worker = new SocketServer(async socket =>
        {
            var buffer = new byte[4096];
            var read = await socket.ReceiveAsync(buffer);
            while (!Encoding.Latin1.GetString(buffer, 0, read).Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                read += await socket.ReceiveAsync(buffer.AsMemory(read));
            }

            lock (heads)
            {
                heads.Add(Encoding.Latin1.GetString(buffer, 0, read));
            }

            await socket.SendAsync(Encoding.Latin1.GetBytes(Answer));
        });
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 1
            admin: { bind: ADMIN }
            listeners:
              - { bind: LISTEN0, proxyProtocol: required, pool: app }
              - { bind: LISTEN1, proxyProtocol: required, protocol: tcp, pool: app }
            pools: { app: { proxyProtocol: v1, workers: ["{{worker.Address}}"] } }
            """);
        var ports = (await fastlb.Status())["listeners"]!.AsArray().Select(l => IPEndPoint.Parse((string)l!["bind"]!)).ToArray();
        foreach (var port in ports)
        {
            using var client = await RawClient.Connect(port);
            await client.Send("PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n");
            Assert.Equal("ok", (await client.Get("/")).Text);
        }

        Assert.All(heads, (head, i) => Assert.StartsWith($"PROXY TCP4 203.0.113.9 127.0.0.1 4711 {ports[i].Port}\r\nGET / HTTP/1.1\r\n", head, StringComparison.Ordinal));
        Assert.Contains("X-Forwarded-For: 203.0.113.9\r\n", heads[0], StringComparison.Ordinal);
        Assert.DoesNotContain("X-Forwarded-For", heads[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_checks_say_what_a_worker_expects_first()
    {
        var isWell = 0;
        using var worker = new SocketServer(async socket =>
        {
            var buffer = new byte[4096];
            var read = await socket.ReceiveAsync(buffer);
            var text = Encoding.Latin1.GetString(buffer, 0, read);
            if (text.StartsWith("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref isWell);
            }

            await socket.ReceiveAsync(buffer);
            await socket.SendAsync(Encoding.Latin1.GetBytes("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"));
            socket.Dispose();
        });
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 1
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN, pool: app }]
            pools: { app: { proxyProtocol: v2, health: { path: /, interval: 100ms }, workers: ["{{worker.Address}}"] } }
            """, waitUntilReady: false);
        await Eventually.True(() => Volatile.Read(ref isWell) > 2, "checks begin with a header", () => fastlb.Program.Errors);
    }

    [Theory]
    [InlineData("http")]
    [InlineData("tcp")]
    public async Task Who_finds_a_full_listener_waits_until_somebody_leaves(string protocol)
    {
        using var worker = new ScriptedWorker(Answer);
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 2
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN, protocol: {{protocol}}, maxConnections: 2, whenFull: wait, pool: app }]
            pools: { app: { workers: ["{{worker.Address}}"] } }
            """);
        var clients = new List<(RawClient Client, Task<RawAnswer> Answer)>();
        for (var i = 0; i < 8; i++)
        {
            var client = await RawClient.Connect(fastlb.Endpoint);
            clients.Add((client, client.Get("/")));
        }

        // All of them are answered in the end, two at a time.
        while (clients.Count > 0)
        {
            var answered = await Task.WhenAny(clients.Select(c => c.Answer)).WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal("ok", (await answered).Text);
            Assert.InRange((long)(await fastlb.Status())["listeners"]![0]!["connections"]!, 1, 2);
            var leaving = clients.First(c => c.Answer == answered);
            clients.Remove(leaving);
            leaving.Client.Reset();
        }

        await Eventually.True(async () => (long)(await fastlb.Status())["listeners"]![0]!["connections"]! == 0, "all places are given back");
        Assert.True((long)(await fastlb.Status())["listeners"]![0]!["turnedAway"]! > 0);
        await Eventually.True(() => fastlb.Program.Errors.Contains("is full: maxConnections of the listener is 2", StringComparison.Ordinal), "the log says so", () => fastlb.Program.Errors);
        await Eventually.True(() => fastlb.Program.Errors.Contains("has room again; ", StringComparison.Ordinal), "and that it is over", () => fastlb.Program.Errors);
        Assert.Single(fastlb.Program.Errors.Split('\n'), l => l.Contains("is full", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Who_finds_the_whole_server_full_is_told_so_and_what_is_counted_is_in_the_metrics()
    {
        using var worker = new ScriptedWorker(Answer);
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 2
            maxConnections: 2
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN0, maxConnections: 100, pool: app }, { bind: LISTEN1, pool: app }]
            pools: { app: { workers: ["{{worker.Address}}"] } }
            """);
        using var first = await RawClient.Connect(fastlb.Endpoint);
        using var second = await RawClient.Connect(IPEndPoint.Parse((string)(await fastlb.Status())["listeners"]![1]!["bind"]!));
        Assert.Equal(200, (await first.Get("/")).Status);
        Assert.Equal(200, (await second.Get("/")).Status);
        using (var third = await RawClient.Connect(fastlb.Endpoint))
        {
            var answer = await third.Get("/");
            Assert.Equal((503, "1", "close"), (answer.Status, answer.Headers["retry-after"], answer.Headers["connection"]));
            Assert.Empty((await third.ReadToEnd())!);
        }

        Assert.Equal(200, (await first.Get("/")).Status);
        var metrics = await fastlb.Metrics();
        Assert.Contains($"fastlb_listener_turned_away_total{{bind=\"127.0.0.1:{fastlb.Port}\",protocol=\"http\"}} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains($"fastlb_listener_max_connections{{bind=\"127.0.0.1:{fastlb.Port}\",protocol=\"http\"}} 100\n", metrics, StringComparison.Ordinal);
        Assert.Contains("fastlb_errors_total{cause=\"connection-limit\"} 1\n", metrics, StringComparison.Ordinal);
    }

    [NeedsToolsFact("ss")]
    public async Task Connections_inherit_what_their_listener_was_told()
    {
        using var worker = new ScriptedWorker(Answer);
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 1
            admin: { bind: ADMIN }
            listeners:
              - bind: LISTEN0
                pool: app
                backlog: 77
                keepAliveProbe: { idle: 100s, interval: 7s, count: 3 }
                tcp: { receiveBuffer: 20KB, sendBuffer: 30KB, congestion: reno, userTimeout: 30s }
              - { bind: LISTEN1, pool: app, tcp: { congestion: wonder } }
            pools: { app: { workers: ["{{worker.Address}}"] } }
            """);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        Assert.Equal(200, (await client.Get("/")).Status);
        var connection = await RunningProgram.OutputOf("ss", "-tinmoH", "state", "established", $"( sport = :{fastlb.Port} )");
        Assert.Matches(@"timer:\(keepalive,1(min(3\d|40)sec|00sec|min)", connection);
        Assert.Contains("reno", connection, StringComparison.Ordinal);

        // The kernel doubles what it is asked for, for its own bookkeeping (socket(7)).
        Assert.Matches(@"skmem:\(r\d+,rb40960,t\d+,tb61440,", connection);
        var listening = await RunningProgram.OutputOf("ss", "-tlnH", $"( sport = :{fastlb.Port} )");
        Assert.Matches(@"LISTEN\s+0\s+77\s", listening);
        Assert.Contains("the kernel does not take tcp.congestion wonder", fastlb.Program.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_listener_takes_both_families_and_a_unix_socket_has_its_permissions()
    {
        var port = FastLbUnderTest.FreePort();
        var path = Path.Combine(Path.GetTempPath(), $"fastlb-{Guid.NewGuid():N}.sock");
        using var worker = new ScriptedWorker((socket, head, _) => ScriptedWorker.Answer(socket, head.Contains("X-Forwarded-For: 127.0.0.1\r\n", StringComparison.Ordinal) ? "IPv4" : "other"));
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 2
            admin: { bind: ADMIN }
            listeners:
              - { bind: "[::]:{{port}}", ipv6Only: false, pool: app }
              - { bind: "unix:{{path}}", mode: 0620, owner: {{Account("-u")}}, group: {{Account("-g")}}, pool: app }
            pools: { app: { workers: ["{{worker.Address}}"] } }
            """);
        using var ipv4 = await RawClient.Connect(new IPEndPoint(IPAddress.Loopback, port));
        Assert.Equal("IPv4", (await ipv4.Get("/")).Text);
        using var ipv6 = await RawClient.Connect(new IPEndPoint(IPAddress.IPv6Loopback, port));
        Assert.Equal("other", (await ipv6.Get("/")).Text);
        using var unix = await RawClient.Connect(new UnixDomainSocketEndPoint(path));
        Assert.Equal(200, (await unix.Get("/")).Status);
        Assert.StartsWith("srw--w---- ", await RunningProgram.OutputOf("stat", "-c", "%A ", path), StringComparison.Ordinal);
    }

    [NeedsToolsFact("python3")]
    public async Task A_socket_that_systemd_has_opened_is_taken_over_by_all_loops()
    {
        var port = FastLbUnderTest.FreePort();
        using var worker = new ScriptedWorker(Answer);
        var script = Path.GetTempFileName();
        await File.WriteAllTextAsync(script, """
            import os, socket, sys
            given = socket.socket()
            given.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            given.bind(("127.0.0.1", int(sys.argv[1])))
            given.listen(128)
            os.dup2(given.fileno(), 4)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
            os.set_inheritable(3, True)
            os.set_inheritable(4, True)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="other:web")
            os.execvp(sys.argv[2], sys.argv[2:])
            """);
        await using var fastlb = await FastLbUnderTest.Start($$"""
            loops: 2
            admin: { bind: ADMIN }
            listeners: [{ bind: systemd:web, pool: app }]
            pools: { app: { workers: ["{{worker.Address}}"] }, run: { run: { command: [sh, -c, "env; exec sleep 100"], instances: 1 } } }
            """, waitUntilReady: false, wrapper: ["python3", script, port.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        Assert.Equal(port, fastlb.Port);
        for (var i = 0; i < 50; i++)
        {
            using var client = await RawClient.Connect(fastlb.Endpoint);
            Assert.Equal("ok", (await client.Get("/")).Text);
        }

        await Eventually.True(() => fastlb.Program.Output.Contains("FASTLB_POOL=run", StringComparison.Ordinal) || fastlb.Program.Errors.Contains("FASTLB_POOL=run", StringComparison.Ordinal), "a worker's environment", () => fastlb.Program.Errors);
        Assert.DoesNotContain("LISTEN_FDS", fastlb.Program.Output + fastlb.Program.Errors, StringComparison.Ordinal);
        File.Delete(script);
    }

    [Fact]
    public async Task A_socket_that_was_not_given_is_told_with_those_that_were()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "listeners: [{ bind: systemd:web, pool: app }]\npools: { app: { workers: [127.0.0.1:9] } }\n");
        using var program = RunningProgram.Start("dotnet", [Repository.FastLbAssembly, "run", "-c", file]);
        await program.Exit(TimeSpan.FromSeconds(30));
        Assert.NotEqual(0, program.ExitCode);
        Assert.Contains("cannot listen on systemd:web: this process was given no sockets; start it by a systemd socket unit", program.Errors, StringComparison.Ordinal);
        File.Delete(file);
    }

    private static string Account(string which)
    {
        using var id = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("id", which) { RedirectStandardOutput = true })!;
        return id.StandardOutput.ReadToEnd().Trim();
    }
}
