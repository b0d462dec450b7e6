using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text.Json;
using FastLB.Admin;
using FastLB.Commands;
using FastLB.Core.Loop;
using FastLB.Stories;
using Microsoft.Extensions.Logging.Abstractions;

// A package of the benchmarks has a namespace of that name.
using FastLbCommandLine = FastLB.Commands.CommandLine;

namespace FastLB.Tests.Programs;

public class AdminApiTests
{
    [Theory]
    [InlineData("ready", false, HttpStatusCode.OK, "ok: every pool has a ready worker\n")]
    [InlineData("backoff", false, HttpStatusCode.ServiceUnavailable, "no worker is ready in pool legacy\n")]
    [InlineData("ready", true, HttpStatusCode.ServiceUnavailable, "draining\n")]
    public async Task Healthz_needs_a_ready_worker_in_every_pool(string state, bool draining, HttpStatusCode expected, string sentence)
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create(state, draining));

        var answer = await admin.Client.GetAsync("/healthz");

        Assert.Equal(expected, answer.StatusCode);
        Assert.Equal(sentence, await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Status_and_metrics_are_served_with_their_types()
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create());

        var status = await admin.Client.GetAsync("/status");
        Assert.Equal("application/json", status.Content.Headers.ContentType!.MediaType);
        Assert.Equal(4711, JsonSerializer.Deserialize(await status.Content.ReadAsStringAsync(), StatusJson.Default.ServerStatus)!.Pools[0].Workers[0].Pid);

        var metrics = await admin.Client.GetAsync("/metrics");
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", metrics.Content.Headers.ContentType!.ToString());
        Assert.Equal(MetricsText.Render(StatusSample.Create()), await metrics.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task The_root_lists_what_there_is_and_other_paths_are_not_found()
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create());

        Assert.Equal(AdminApi.Hint, await admin.Client.GetStringAsync("/"));
        Assert.Equal(HttpStatusCode.NotFound, (await admin.Client.GetAsync("/nothing")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await admin.Client.PostAsync("/status", null)).StatusCode);
        using var head = new HttpRequestMessage(HttpMethod.Head, "/healthz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await admin.Client.SendAsync(head)).StatusCode);
    }

    [Fact]
    public async Task A_change_with_a_body_that_is_too_large_is_told_so()
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create());

        using var body = new ByteArrayContent(new byte[OperatorRoutes.MaxBodyBytes + 1]);
        var answer = await admin.Client.PutAsync("/pools/app/strategy", body);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.Equal("the body is larger than 16 KB, the most that is read here\n", await answer.Content.ReadAsStringAsync());

        using var fits = new ByteArrayContent(new byte[OperatorRoutes.MaxBodyBytes]);
        Assert.Equal(HttpStatusCode.NotFound, (await admin.Client.PutAsync("/pools/app/strategy", fits)).StatusCode);
    }

    [Fact]
    public async Task The_status_command_asks_a_unix_socket_as_well()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;
        var path = Path.Combine(directory, "admin.sock");
        await using (var admin = await Running.StartAsync(() => StatusSample.Create(), Endpoint.Unix(path)))
        {
            using var output = new StringWriter();
            Assert.Equal(ExitCode.Ok, await InvokeAsync(output, "status", "--admin", $"unix:{path}"));
            Assert.Contains("pool app: two-choices", output.ToString(), StringComparison.Ordinal);
        }

        Assert.False(File.Exists(path), "the socket is removed at the end");
        using var error = new StringWriter();
        Assert.Equal(ExitCode.Failure, await InvokeAsync(error, "status", "--admin", $"unix:{path}"));
        Assert.StartsWith($"nobody answers on unix:{path}: there is no such socket. Is", error.ToString(), StringComparison.Ordinal);
        Directory.Delete(directory);
    }

    [Fact]
    public async Task The_status_command_tells_another_server_from_fastlb()
    {
        await using var worker = await DemoWorkerTests.StartAsync();
        using var error = new StringWriter();

        Assert.Equal(ExitCode.Failure, await InvokeAsync(error, "status", "--admin", new Uri(worker.Urls.Single()).Authority));

        Assert.Contains("is not the admin API of FastLB (it said 404)", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_a_token_everything_but_healthz_asks_for_it()
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create(), token: Token());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await admin.Client.GetAsync("/healthz")).StatusCode);
        foreach (var path in new[] { "/", "/status", "/metrics", "/requests?failed", "/requests/1", "/nothing", "/healthz/", "/HEALTHZ" })
        {
            var refused = await admin.Client.GetAsync(path);
            Assert.Equal((path, HttpStatusCode.Unauthorized), (path, refused.StatusCode));
            Assert.Equal("Bearer", refused.Headers.WwwAuthenticate.Single().Scheme);
        }

        using var change = new StringContent("round-robin");
        Assert.Equal(HttpStatusCode.Unauthorized, (await admin.Client.PutAsync("/pools/app/strategy", change)).StatusCode);
        foreach (var wrong in new[] { "Bearer 0123456789abcde", "Bearer 0123456789abcdefX", "Bearer", "Basic 0123456789abcdef", "0123456789abcdef" })
        {
            Assert.Equal((wrong, HttpStatusCode.Unauthorized), (wrong, await Status(admin.Client, wrong)));
        }

        Assert.Equal(HttpStatusCode.OK, await Status(admin.Client, "Bearer 0123456789abcdef"));
        Assert.Equal(HttpStatusCode.OK, await Status(admin.Client, "bearer 0123456789abcdef"));

        static async Task<HttpStatusCode> Status(HttpClient client, string authorization)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/status");
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
            return (await client.SendAsync(request)).StatusCode;
        }
    }

    [Theory]
    [InlineData(null, "evil.example", HttpStatusCode.Forbidden)]
    [InlineData(null, "127.0.0.1", HttpStatusCode.NotFound)]
    [InlineData("0123456789abcdef", "admin.example", HttpStatusCode.NotFound)]
    public async Task A_change_needs_an_address_for_a_name_or_the_token(string? token, string host, HttpStatusCode expected)
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create(), token: token is null ? null : Token());
        using var request = new HttpRequestMessage(HttpMethod.Put, "/pools/app/strategy") { Content = new StringContent("round-robin") };
        request.Headers.Host = host;
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        Assert.Equal(expected, (await admin.Client.SendAsync(request)).StatusCode);
    }

    [Fact]
    public async Task A_change_from_a_web_page_is_told_that_it_is_one()
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create());
        using var request = new HttpRequestMessage(HttpMethod.Put, "/pools/app/strategy") { Content = new StringContent("round-robin") };
        request.Headers.TryAddWithoutValidation("Origin", "http://evil.example");

        var answer = await admin.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Equal("this comes from a web page (it has an Origin header), and without a token no page may change anything\n", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task On_a_unix_socket_nobody_is_told_to_configure_a_token()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;
        var path = Path.Combine(directory, "admin.sock");
        await using (var admin = await Running.StartAsync(() => StatusSample.Create(), Endpoint.Unix(path)))
        {
            using var client = AdminClient.Open(new AdminTarget(Endpoint.Unix(path), null));
            using var refused = await client.GetAsync(new Uri("http://x/status"));
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
            Assert.Equal("'x' is not an address of the admin API; write http://localhost/ on its unix socket\n", await refused.Content.ReadAsStringAsync());
            using var answered = await client.GetAsync(new Uri("http://localhost/status"));
            Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
        }

        Directory.Delete(directory);
        await using var open = await Running.StartAsync(() => StatusSample.Create());
        using var named = new HttpRequestMessage(HttpMethod.Get, "/status");
        named.Headers.Host = "x";
        var told = await (await open.Client.SendAsync(named)).Content.ReadAsStringAsync();
        Assert.Equal("'x' is not an address of the admin API; write its IP address or localhost, or configure a token\n", told);
    }

    [Theory]
    [InlineData("?reset=maybe", "reset: expected true or false, found 'maybe'\n")]
    [InlineData("?reset=", "reset: expected true or false, found ''\n")]
    [InlineData("?reset=true", "FastLB was started without a file, so there is nothing to read again; start it with 'fastlb run -c FILE'\n")]
    [InlineData("?reset=false", "FastLB was started without a file, so there is nothing to read again; start it with 'fastlb run -c FILE'\n")]
    [InlineData("", "FastLB was started without a file, so there is nothing to read again; start it with 'fastlb run -c FILE'\n")]
    public async Task A_reset_is_wished_or_not(string query, string text)
    {
        using var reloader = new Reloader(null!, null, watches: false, NullLogger.Instance);
        await using var admin = await Running.StartAsync(() => StatusSample.Create(), reloader: reloader);
        var answer = await admin.Client.PostAsync($"/config{query}", null);
        Assert.Equal((HttpStatusCode.BadRequest, text), (answer.StatusCode, await answer.Content.ReadAsStringAsync()));
    }

    [Fact]
    public async Task Commands_show_the_token_that_they_are_given()
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create(), token: Token());
        var address = admin.Client.BaseAddress!.Authority;
        foreach (var command in new[] { "status", "explain" })
        {
            using var without = new StringWriter();
            Assert.Equal(ExitCode.Mistake, await InvokeAsync(without, command, "--admin", address));
            Assert.Equal($"the admin API on {address} asks for its token; give it with --token, FASTLB_ADMIN_TOKEN or -c FILE", without.ToString().TrimEnd());
            using var wrong = new StringWriter();
            Assert.Equal(ExitCode.Mistake, await InvokeAsync(wrong, command, "--admin", address, "--token", "wrong"));
            Assert.Equal($"the admin API on {address} does not know this token", wrong.ToString().TrimEnd());
            using var right = new StringWriter();
            Assert.Equal(ExitCode.Ok, await InvokeAsync(right, command, "--admin", address, "--token", "0123456789abcdef"));
        }

        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, $"admin: {{ bind: {address}, token: 0123456789abcdef }}\nlisteners: [{{ bind: 127.0.0.1:8000, pool: app }}]\npools: {{ app: {{ workers: [127.0.0.1:9001] }} }}\n");
        using var fromFile = new StringWriter();
        Assert.Equal(ExitCode.Ok, await InvokeAsync(fromFile, "status", "-c", file));
        File.Delete(file);
    }

    [Fact]
    public async Task The_story_of_a_request_is_served_and_told()
    {
        await using var admin = await Running.StartAsync(() => StatusSample.Create(), stories: new OneStory());
        var address = admin.Client.BaseAddress!.Authority;
        using var told = new StringWriter();
        Assert.Equal(ExitCode.Ok, await InvokeAsync(told, "explain", "00000000000000ff", "--admin", address));
        Assert.Equal("It failed.\nThat was it.", told.ToString().TrimEnd());
        using var listed = new StringWriter();
        Assert.Equal(ExitCode.Ok, await InvokeAsync(listed, "explain", "--admin", address));
        Assert.Contains("00000000000000ff", listed.ToString(), StringComparison.Ordinal);
        using var unknown = new StringWriter();
        Assert.Equal(ExitCode.Failure, await InvokeAsync(unknown, "explain", "fe", "--admin", address));
        Assert.StartsWith("no request with the id fe is remembered", unknown.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0600")]
    [InlineData("0660")]
    [SupportedOSPlatform("linux")]
    public void A_unix_socket_has_the_permissions_that_are_configured(string mode)
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;
        var wanted = (UnixFileMode)Convert.ToInt32(mode, 8);
        using (AdminSocket.Open(new AdminSettings(Endpoint.Unix(Path.Combine(directory, "admin.sock")), null, wanted)))
        {
            Assert.Equal(wanted, File.GetUnixFileMode(Path.Combine(directory, "admin.sock")));
        }

        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public void An_address_in_use_is_told_with_what_to_do()
    {
        using var first = AdminSocket.Open(new AdminSettings(Endpoint.Ip(IPAddress.Loopback, 0)));
        var endpoint = Endpoint.Ip(IPAddress.Loopback, ((IPEndPoint)first.LocalEndPoint!).Port);

        var failure = Assert.Throws<ServerStartException>(() => AdminSocket.Open(new AdminSettings(endpoint)));

        Assert.Equal(
            $"the admin API: cannot listen on {endpoint}: another process listens there already; stop it or choose another port (--admin, or 'admin' in the configuration)",
            failure.Message);
    }

    [Fact]
    public void A_socket_that_was_left_behind_is_taken_over_and_one_in_use_is_not()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;
        var endpoint = Endpoint.Unix(Path.Combine(directory, "admin.sock"));

        Leave(endpoint);
        using var socket = AdminSocket.Open(new AdminSettings(endpoint));
        Assert.Contains("another process answers there", Assert.Throws<ServerStartException>(() => AdminSocket.Open(new AdminSettings(endpoint))).Message, StringComparison.Ordinal);
        socket.Dispose();
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public void A_file_that_is_no_socket_is_told_to_be_one()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;
        var file = Path.Combine(directory, "admin.sock");
        File.WriteAllText(file, "");
        foreach (var path in new[] { file, directory })
        {
            Assert.Contains(
                $"cannot listen on unix:{path}: something that is no socket is there; remove it or choose another path",
                Assert.Throws<ServerStartException>(() => AdminSocket.Open(new AdminSettings(Endpoint.Unix(path)))).Message,
                StringComparison.Ordinal);
        }

        Directory.Delete(directory, recursive: true);
    }

    private static AdminToken Token() => AdminToken.TryMake("0123456789abcdef", out var token, out _) ? token! : throw new InvalidOperationException();

    private sealed class OneStory : IRequestStories
    {
        private static readonly RequestStory s_story = new(
            "00000000000000ff", DateTimeOffset.UnixEpoch, "127.0.0.1:1", "127.0.0.1:8000", "GET /", "app", 502, "worker-closed", 1.5, null, [], ["It failed.", "That was it."]);

        public RequestStory? Find(string id) => id is "ff" or "00000000000000ff" ? s_story : null;

        public IReadOnlyList<RequestStory> Latest(int count) => [s_story];
    }

    /// <summary>The runtime removes the path of a socket that it closes; a killed process does not.</summary>
    private static void Leave(Endpoint endpoint)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(endpoint.UnixPath!));
        File.Move(endpoint.UnixPath!, endpoint.UnixPath + ".kept");
        socket.Dispose();
        File.Move(endpoint.UnixPath + ".kept", endpoint.UnixPath!);
    }

    private static async Task<int> InvokeAsync(StringWriter both, params string[] arguments) =>
        await Task.Run(() => FastLbCommandLine.Invoke(arguments, both, both));

    private sealed class Running(AdminApi api, HttpClient client) : IAsyncDisposable
    {
        public HttpClient Client { get; } = client;

        public static async Task<Running> StartAsync(Func<ServerStatus> getStatus, Endpoint? endpoint = null, AdminToken? token = null, IRequestStories? stories = null, Reloader? reloader = null)
        {
            var socket = AdminSocket.Open(new AdminSettings(endpoint ?? Endpoint.Ip(IPAddress.Loopback, 0)));
            var port = (socket.LocalEndPoint as IPEndPoint)?.Port ?? 1;
            var api = await AdminApi.StartAsync(socket, getStatus, new Operator(new OperatorReach(change => change(), () => [], (_, _) => false, () => [], (_, _) => false, () => []), NullLogger.Instance), stories ?? new NoStories(), reloader, token, NullLoggerProvider.Instance);
            return new Running(api, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") });
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await api.DisposeAsync();
        }
    }
}
