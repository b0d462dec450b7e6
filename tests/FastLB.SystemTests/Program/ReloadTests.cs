using System.Net;
using System.Net.WebSockets;

namespace FastLB.SystemTests.Program;

/// <summary>Another configuration while clients are there: what is unchanged notices nothing, what is new serves, what is gone finishes.</summary>
public abstract class ReloadTests(string engine) : TestsOfAnEngine(engine)
{
    private const string Plain = """
        loops: 2
        admin: { bind: ADMIN }
        timeouts: { drain: 5s }
        listeners: [{ bind: LISTEN, pool: app }]
        pools: { app: { run: { command: DEMO, instances: 2 } } }
        """;

    [NeedsToolsFact("wrk")]
    public async Task Two_hundred_reloads_under_load_fail_no_request_and_close_none_of_a_hundred_web_sockets()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        var sockets = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => OpenWebSocket(fastlb)));
        var pids = await Pids(fastlb);
        var load = RunningProgram.OutputOf("wrk", "-t1", "-c32", "-d8s", fastlb.Url("/healthz").ToString());
        var early = 0L;
        var number = 0;
        for (; number < 200 || !load.IsCompleted; number++)
        {
            var routes = number % 2 == 0 ? "pool: app" : "routes: [{ path: /other/, pool: app }, { pool: app }]";
            var strategy = number % 3 == 0 ? "round-robin" : "two-choices";
            var limits = number % 5 == 0 ? "limits: { maxRequests: 500 }, " : "";
            var (status, text) = await fastlb.Reload(Plain
                .Replace("bind: LISTEN, pool: app", $"bind: LISTEN, {routes}", StringComparison.Ordinal)
                .Replace("app: { run:", $"app: {{ strategy: {strategy}, {limits}run:", StringComparison.Ordinal));
            Assert.True(status == HttpStatusCode.OK, text);
            early = number == 100 ? fastlb.ResidentKilobytes() : early;
        }

        var late = fastlb.ResidentKilobytes();
        var report = await load;
        Assert.DoesNotContain("Non-2xx", report, StringComparison.Ordinal);
        Assert.DoesNotContain("Socket errors", report, StringComparison.Ordinal);
        Assert.Equal(pids, await Pids(fastlb));
        foreach (var socket in sockets)
        {
            await Echo(socket, "still here");
            socket.Dispose();
        }

        Assert.True(late < early + (16 * 1024), $"{early} KB after 100 reloads, {late} KB after {number}");
    }

    [Fact]
    public async Task Listeners_pools_and_workers_that_come_and_go_at_random_cost_no_request()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        using var stop = new CancellationTokenSource();
        var answered = 0;
        var load = Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
            while (!stop.IsCancellationRequested)
            {
                Assert.StartsWith("ok", await client.GetStringAsync(fastlb.Url("/healthz")), StringComparison.Ordinal);
                Interlocked.Increment(ref answered);
            }
        }));
        var random = new Random(5);
        for (var i = 0; i < 25; i++)
        {
            var pools = Enumerable.Range(1, 3).Where(_ => random.Next(2) == 0).ToArray();
            var yaml = $$"""
                loops: 2
                admin: { bind: ADMIN }
                timeouts: { drain: 5s }
                listeners:
                  - { bind: LISTEN, pool: app }
                {{string.Join('\n', pools.Select(p => $"  - {{ bind: LISTEN{p}, pool: extra{p} }}"))}}
                pools:
                  app: { run: { command: DEMO, instances: {{1 + random.Next(3)}} } }
                {{string.Join('\n', pools.Select(p => $"  extra{p}: {{ strategy: round-robin, run: {{ command: DEMO, instances: {1 + random.Next(2)} }} }}"))}}
                """;
            var (status, text) = await fastlb.Reload(yaml);
            Assert.True(status == HttpStatusCode.OK, text);
            foreach (var pool in pools)
            {
                // Its workers may be starting still; the request waits for them.
                using var client = await RawClient.Connect(new IPEndPoint(IPAddress.Loopback, fastlb.PortOf($"LISTEN{pool}")));
                Assert.Equal(200, (await client.Get("/healthz")).Status);
            }

            Assert.Equal(pools.Length + 1, (await fastlb.Status())["listeners"]!.AsArray().Count);
            Assert.False(load.IsFaulted, load.Exception?.ToString());
        }

        await stop.CancelAsync();
        await load;
        Assert.True(answered > 200, $"{answered} requests were answered");
    }

    [Fact]
    public async Task Who_came_by_a_listener_that_goes_is_answered_and_told_and_later_ones_are_refused()
    {
        const string both = """
            loops: 2
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN0, pool: app }, { bind: LISTEN1, pool: app }]
            pools: { app: { run: { command: DEMO, instances: 1 } } }
            """;
        await using var fastlb = await FastLbUnderTest.Start(both);
        var second = new IPEndPoint(IPAddress.Loopback, fastlb.PortOf("LISTEN1"));
        using var slow = await RawClient.Connect(second);
        await slow.Send("GET /slow?ms=1500 HTTP/1.1\r\nHost: test\r\n\r\n");
        using var silent = await RawClient.Connect(second);
        using var kept = await RawClient.Connect(fastlb.Endpoint);
        Assert.Equal(200, (await kept.Get("/")).Status);

        await fastlb.Reload(both.Replace(", { bind: LISTEN1, pool: app }", "", StringComparison.Ordinal));

        // Who has not asked yet is let go within a second or two, so this one asks first; the other's answer waits for it.
        Assert.Equal(200, (await silent.Get("/")).Status);
        var answer = await slow.Read();
        Assert.Equal((200, "close"), (answer.Status, answer.Headers["connection"]));
        await Eventually.True(() => IsRefused(second), "the address is refused");
        Assert.DoesNotContain("connection", (await kept.Get("/")).Headers.Keys);
    }

    [Fact]
    public async Task A_listener_that_comes_with_the_limit_of_all_connections_keeps_to_it()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        await fastlb.Reload("maxConnections: 1\n" + Plain.Replace("pool: app }]", "pool: app }, { bind: LISTEN1, pool: app }]", StringComparison.Ordinal));
        var added = new IPEndPoint(IPAddress.Loopback, fastlb.PortOf("LISTEN1"));
        using var one = await RawClient.Connect(added);
        Assert.Equal(200, (await one.Get("/")).Status);
        using var tooMany = await RawClient.Connect(added);
        Assert.Equal(503, (await tooMany.Get("/")).Status);
    }

    [Fact]
    public async Task A_listener_and_its_pool_that_go_together_answer_clients_that_ask_once_more()
    {
        const string other = """
            loops: 2
            admin: { bind: ADMIN }
            listeners: [{ bind: LISTEN0, pool: app }OTHER]
            pools:
              app: { run: { command: DEMO, instances: 1 } }
            """;
        var both = other.Replace("OTHER", ", { bind: LISTEN1, pool: extra }", StringComparison.Ordinal) + "\n  extra: { run: { command: DEMO, instances: 1 } }";
        await using var fastlb = await FastLbUnderTest.Start(both);
        var second = new IPEndPoint(IPAddress.Loopback, fastlb.PortOf("LISTEN1"));
        var clients = await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            var client = await RawClient.Connect(second);
            Assert.Equal(200, (await client.Get("/")).Status);
            return client;
        }));

        await fastlb.Reload(other.Replace("OTHER", "", StringComparison.Ordinal));

        foreach (var client in clients)
        {
            var answer = await client.Get("/");
            Assert.Equal((200, "close"), (answer.Status, answer.Headers.GetValueOrDefault("connection", "keep-alive")));
            client.Dispose();
        }

        await Eventually.True(() => fastlb.Program.Errors.Contains("extra/0 generation 1 stopped", StringComparison.Ordinal), "the end of the other pool", () => fastlb.Program.Errors);
    }

    [Fact]
    public async Task Reloads_that_come_all_at_once_are_done_one_after_the_other()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        var few = Plain;
        var more = Plain.Replace("pool: app }]", "routes: [{ path: /x/, pool: extra }, { pool: app }] }]", StringComparison.Ordinal)
            .Replace("pools: {", "pools: { extra: { workers: [\"unix:/run/none.sock\"] }, ", StringComparison.Ordinal);
        using var http = new HttpClient();
        await Task.WhenAll(Enumerable.Range(0, 6).Select(async writer =>
        {
            for (var i = 0; i < 40; i++)
            {
                await fastlb.Write((i + writer) % 2 == 0 ? few : more);
                using var answer = await http.PostAsync(fastlb.Admin("/config"), null);

                // A file that is being written may be read in the middle; that is refused, and nothing happens.
                Assert.True(answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest);
            }
        }));

        await fastlb.Reload(few);
        using var client = await RawClient.Connect(fastlb.Endpoint);
        Assert.Equal(200, (await client.Get("/")).Status);
    }

    [Fact]
    public async Task Unix_listeners_that_go_disturb_no_other_connection_even_when_their_directory_has_gone_before()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-test-");
        var unix = Plain.Replace("pool: app }]", $"pool: app }}, {{ bind: \"unix:{directory.FullName}/a.sock\", pool: app }}]", StringComparison.Ordinal);
        await using var fastlb = await FastLbUnderTest.Start(unix);
        using var stop = new CancellationTokenSource();
        var load = Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            while (!stop.IsCancellationRequested)
            {
                using var client = await RawClient.Connect(fastlb.Endpoint);
                Assert.Equal(200, (await client.Get("/healthz")).Status);
            }
        }));
        for (var i = 0; i < 10; i++)
        {
            await fastlb.Reload(Plain);
            await Eventually.True(() => !File.Exists($"{directory.FullName}/a.sock"), "the path is removed");
            await fastlb.Reload(unix);
            using var client = await RawClient.Connect(new System.Net.Sockets.UnixDomainSocketEndPoint($"{directory.FullName}/a.sock"));
            Assert.Equal(200, (await client.Get("/")).Status);
        }

        directory.Delete(recursive: true);
        await fastlb.Reload(Plain);
        await Eventually.True(() => fastlb.Program.Errors.Contains("removed listener", StringComparison.Ordinal), "the last reload");
        await stop.CancelAsync();
        await load;
        Assert.False(fastlb.Program.HasExited, fastlb.Program.Errors);
    }

    [Fact]
    public async Task A_configuration_in_the_request_is_taken_only_with_the_token()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        using var http = new HttpClient();
        using var refused = await http.PostAsync(fastlb.Admin("/config"), new StringContent(await File.ReadAllTextAsync(fastlb.ConfigurationFile)));
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);

        await using var secured = await FastLbUnderTest.Start(Plain.Replace("bind: ADMIN }", "bind: ADMIN, token: 0123456789abcdef0123 }", StringComparison.Ordinal), waitUntilReady: false, asksStatus: false);
        using var request = new HttpRequestMessage(HttpMethod.Post, secured.Admin("/config")) { Content = new StringContent(await File.ReadAllTextAsync(secured.ConfigurationFile)) };
        request.Headers.Add("Authorization", "Bearer 0123456789abcdef0123");
        using var taken = await http.SendAsync(request);
        Assert.Equal("reloaded: nothing has changed", (await taken.Content.ReadAsStringAsync()).TrimEnd());
    }

    [Fact]
    public async Task A_file_with_a_mistake_changes_nothing_and_says_why()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        var before = (await fastlb.Status())["pools"]!.ToJsonString();

        var (status, text) = await fastlb.Reload(Plain.Replace("instances: 2", "instances: none", StringComparison.Ordinal));

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("instances: expected", text, StringComparison.Ordinal);
        Assert.Equal(before, (await fastlb.Status())["pools"]!.ToJsonString());
        Assert.Contains("not reloaded, and nothing has changed", fastlb.Program.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_in_use_changes_nothing_either()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        using var other = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        other.Start();

        var (status, text) = await fastlb.Reload(Plain
            .Replace("[{ bind: LISTEN, pool: app }]", $"[{{ bind: LISTEN, pool: app }}, {{ bind: \"{other.LocalEndpoint}\", pool: app }}]", StringComparison.Ordinal)
            .Replace("instances: 2", "instances: 1", StringComparison.Ordinal));

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains($"cannot listen on {other.LocalEndpoint}", text, StringComparison.Ordinal);
        Assert.Equal(2, (await fastlb.Workers()).Count);
    }

    [Fact]
    public async Task A_signal_and_a_watched_file_do_the_same()
    {
        await using var fastlb = await FastLbUnderTest.Start($"watch: true\n{Plain}");

        await fastlb.Write($"watch: true\n{Plain.Replace("instances: 2", "instances: 3", StringComparison.Ordinal)}");
        await Eventually.True(async () => (await fastlb.Workers()).Count == 3, "the third worker", () => fastlb.Program.Errors);
        Assert.Contains("has changed", fastlb.Program.Errors, StringComparison.Ordinal);

        await fastlb.Write($"watch: true\n{Plain.Replace("instances: 2", "instances: 1", StringComparison.Ordinal)}");
        fastlb.Program.Signal("HUP");
        await Eventually.True(async () => (await fastlb.Workers()).Count == 1, "one worker", () => fastlb.Program.Errors);
    }

    [Fact]
    public async Task What_the_operator_changes_outlives_a_reload_and_not_one_that_forgets()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        await Change(fastlb, HttpMethod.Put, "/pools/app/workers/0/state", "off");
        await Change(fastlb, HttpMethod.Put, "/pools/app/instances", "3");
        await Eventually.True(async () => (await States(fastlb)) == "off ready ready", "three workers, one off");
        Assert.Equal("off because the operator said so", (string)(await fastlb.Workers())[0]["why"]!);
        for (var i = 0; i < 20; i++)
        {
            using var client = await RawClient.Connect(fastlb.Endpoint);
            Assert.DoesNotContain("app/0", (await client.Get("/")).Text, StringComparison.Ordinal);
        }

        await fastlb.Reload(Plain.Replace("{ command", "{ killTimeout: 3s, command", StringComparison.Ordinal));
        Assert.Equal("off ready ready", await States(fastlb));

        await Change(fastlb, HttpMethod.Post, "/config?reset=true", "");
        await Eventually.True(async () => (await States(fastlb)) == "ready ready", "what is configured");
    }

    [Fact]
    public async Task Another_command_replaces_the_processes_one_after_the_other()
    {
        await using var fastlb = await FastLbUnderTest.Start(Plain);
        var before = await Pids(fastlb);
        await fastlb.Reload(Plain.Replace("instances: 2", "instances: 2, environment: { COLOUR: blue }", StringComparison.Ordinal));

        await Eventually.True(async () => (await fastlb.Workers()).All(w => (int)w["generation"]! == 2 && (string)w["state"]! == "ready"), "the second generation");
        Assert.Empty(before.Intersect(await Pids(fastlb)));
    }

    [Fact]
    public async Task A_named_route_is_closed_and_opened_and_stays_so_over_a_reload()
    {
        var yaml = Plain.Replace("pool: app }]", "routes: [{ path: /slow, name: slow, pool: app }, { pool: app }] }]", StringComparison.Ordinal);
        await using var fastlb = await FastLbUnderTest.Start(yaml);
        await Change(fastlb, HttpMethod.Put, "/routes/slow/maintenance", "on");
        Assert.Equal((503, 200), (await StatusOf(fastlb, "/slow?ms=1"), await StatusOf(fastlb, "/")));

        await fastlb.Reload(yaml.Replace("name: slow,", "name: slow, timeouts: { response: 9s },", StringComparison.Ordinal));
        Assert.Equal(503, await StatusOf(fastlb, "/slow?ms=1"));
        Assert.Equal("slow: on", (string)(await fastlb.Status())["listeners"]![0]!["maintenance"]![0]!);

        await Change(fastlb, HttpMethod.Post, "/config?reset=true", "");
        Assert.Equal(200, await StatusOf(fastlb, "/slow?ms=1"));
    }

    private static async Task<int> StatusOf(FastLbUnderTest fastlb, string path)
    {
        using var client = await RawClient.Connect(fastlb.Endpoint);
        return (await client.Get(path)).Status;
    }

    private static async Task Change(FastLbUnderTest fastlb, HttpMethod method, string path, string body)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(method, fastlb.Admin(path)) { Content = new StringContent(body) };
        using var answer = await http.SendAsync(request);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static async Task<string> States(FastLbUnderTest fastlb) => string.Join(' ', (await fastlb.Workers()).Select(w => (string)w["state"]!));

    private static async Task<int[]> Pids(FastLbUnderTest fastlb) => [.. (await fastlb.Workers()).Select(w => (int)w["pid"]!)];

    private static bool IsRefused(IPEndPoint endpoint)
    {
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        try
        {
            socket.Connect(endpoint);
            return false;
        }
        catch (System.Net.Sockets.SocketException failure)
        {
            return failure.SocketErrorCode == System.Net.Sockets.SocketError.ConnectionRefused;
        }
    }

    private static async Task<ClientWebSocket> OpenWebSocket(FastLbUnderTest fastlb)
    {
        var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{fastlb.Port}/ws"), CancellationToken.None);
        await Echo(socket, "hello");
        return socket;
    }

    private static async Task Echo(ClientWebSocket socket, string text)
    {
        using var patience = new CancellationTokenSource(Eventually.Patience);
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        await socket.SendAsync(bytes, WebSocketMessageType.Text, endOfMessage: true, patience.Token);
        var buffer = new byte[256];
        var received = await socket.ReceiveAsync(buffer, patience.Token);
        Assert.Equal(WebSocketMessageType.Text, received.MessageType);
        Assert.Contains(text, System.Text.Encoding.UTF8.GetString(buffer, 0, received.Count), StringComparison.Ordinal);
    }
}
