using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using FastLB.Admin;
using FastLB.Commands;
using FastLB.Core.Loop;
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
        Assert.StartsWith($"nobody answers on unix:{path}", error.ToString(), StringComparison.Ordinal);
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
    public void An_address_in_use_is_told_with_what_to_do()
    {
        using var first = AdminSocket.Open(Endpoint.Ip(IPAddress.Loopback, 0));
        var endpoint = Endpoint.Ip(IPAddress.Loopback, ((IPEndPoint)first.LocalEndPoint!).Port);

        var failure = Assert.Throws<ServerStartException>(() => AdminSocket.Open(endpoint));

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
        using var socket = AdminSocket.Open(endpoint);
        Assert.Throws<ServerStartException>(() => AdminSocket.Open(endpoint));
        socket.Dispose();
        Directory.Delete(directory, recursive: true);
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

        public static async Task<Running> StartAsync(Func<ServerStatus> getStatus, Endpoint? endpoint = null)
        {
            var socket = AdminSocket.Open(endpoint ?? Endpoint.Ip(IPAddress.Loopback, 0));
            var port = (socket.LocalEndPoint as IPEndPoint)?.Port ?? 1;
            var api = await AdminApi.StartAsync(socket, getStatus, new Operator(() => [], (_, _) => false, NullLogger.Instance), null, NullLoggerProvider.Instance);
            return new Running(api, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") });
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await api.DisposeAsync();
        }
    }
}
