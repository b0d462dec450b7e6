using System.Collections;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using FastLB.Core.Loop;
using FastLB.DemoWorker;
using Microsoft.AspNetCore.Builder;

namespace FastLB.Tests.Programs;

/// <summary>Each endpoint of the demo worker, over real loopback connections.</summary>
public sealed class DemoWorkerTests : IAsyncLifetime
{
    private readonly TaskCompletionSource<int> _exited = new();
    private HttpClient _client = null!;
    private WebApplication _worker = null!;

    public async Task InitializeAsync()
    {
        _worker = await StartAsync(_exited.SetResult);
        _client = ClientOf(_worker);
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _worker.DisposeAsync();
    }

    internal static async Task<WebApplication> StartAsync(Action<int>? exit = null)
    {
        var worker = DemoWorkerApplication.Build(
            new DemoWorkerIdentity("demo/3", 3, 7, Endpoint.Ip(IPAddress.Loopback, 0)),
            exit ?? (_ => throw new InvalidOperationException("nobody asked to exit")));
        await worker.StartAsync();
        return worker;
    }

    [Fact]
    public async Task The_root_says_who_answers_and_counts()
    {
        Assert.Equal($"Hello from demo/3: slot 3, generation 7, pid {Environment.ProcessId}, request 1\n", await _client.GetStringAsync("/"));
        Assert.EndsWith(", request 2\n", await _client.GetStringAsync("/"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/slow?ms=1", HttpStatusCode.OK, "demo/3 waited 1 ms\n")]
    [InlineData("/slow?ms=60001", HttpStatusCode.BadRequest, "ms is a number from 0 to 60000, like /slow?ms=500\n")]
    [InlineData("/slow", HttpStatusCode.BadRequest, "ms is a number from 0 to 60000, like /slow?ms=500\n")]
    [InlineData("/bytes/x", HttpStatusCode.BadRequest, "the number of bytes is from 0 to 107374182400, like /bytes/1048576\n")]
    [InlineData("/bytes/107374182401", HttpStatusCode.BadRequest, "the number of bytes is from 0 to 107374182400, like /bytes/1048576\n")]
    [InlineData("/exit?status=256", HttpStatusCode.BadRequest, "status is a number from 0 to 255, like /exit?status=3\n")]
    [InlineData("/ws", HttpStatusCode.UpgradeRequired, "/ws speaks WebSocket; try: npx wscat -c ws://127.0.0.1:8000/ws\n")]
    [InlineData("/healthz", HttpStatusCode.OK, "ok\n")]
    [InlineData("/nothing", HttpStatusCode.NotFound, "The demo worker answers /, /pid, /slow?ms=N, /bytes/N, /echo, /ws, /headers, /healthz and /exit?status=N.\n")]
    public async Task An_endpoint_answers_with_its_sentence(string path, HttpStatusCode expected, string sentence)
    {
        var answer = await _client.GetAsync(path);

        Assert.Equal((expected, sentence), (answer.StatusCode, await answer.Content.ReadAsStringAsync()));
    }

    [Fact]
    public async Task Pid_is_the_process() =>
        Assert.Equal($"{Environment.ProcessId}\n", await _client.GetStringAsync("/pid"));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65536)]
    [InlineData(200_001)]
    public async Task Bytes_have_their_length_and_the_pattern(int count)
    {
        var answer = await _client.GetAsync($"/bytes/{count}");

        Assert.Equal(count, answer.Content.Headers.ContentLength);
        var expected = Enumerable.Range(0, count).Select(i => (byte)((i % 65536) ^ ((i % 65536) >> 8))).ToArray();
        Assert.Equal(expected, await answer.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_head_of_many_bytes_has_the_length_and_no_body()
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, "/bytes/107374182400");

        using var answer = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

        Assert.Equal(107_374_182_400, answer.Content.Headers.ContentLength);
        Assert.Equal(-1, (await answer.Content.ReadAsStreamAsync()).ReadByte());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Echo_sends_a_large_body_back_with_its_type(bool isChunked)
    {
        var body = new byte[3_000_000];
        new Random(1).NextBytes(body);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/echo") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("image/png");
        request.Headers.TransferEncodingChunked = isChunked;

        var answer = await _client.SendAsync(request);

        Assert.Equal("image/png", answer.Content.Headers.ContentType!.ToString());
        Assert.Equal(body, await answer.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Echo_answers_while_the_body_still_arrives()
    {
        using var socket = await ConnectAsync();
        await socket.SendAsync("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello"u8.ToArray());

        Assert.EndsWith("\r\n\r\nhello", await ReceiveUntilAsync(socket, "hello"), StringComparison.Ordinal);

        await socket.SendAsync("world"u8.ToArray());
        Assert.Equal("world", await ReceiveUntilAsync(socket, "world"));
    }

    [Fact]
    public async Task Headers_are_answered_line_by_line_as_they_came()
    {
        using var socket = await ConnectAsync();
        await socket.SendAsync("GET /headers HTTP/1.1\r\nHost: x\r\nX-One: a\r\nX-One: b\r\nX-Two: c d\r\nConnection: close\r\n\r\n"u8.ToArray());

        var answer = await ReceiveUntilAsync(socket, "X-Two: c d\n");

        Assert.Contains("X-One: a\nX-One: b\n", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_websocket_message_comes_back_whole()
    {
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://{_client.BaseAddress!.Authority}/ws"), CancellationToken.None);
        var sent = new byte[300_000];
        new Random(2).NextBytes(sent);

        // Sent and received at once: the echo does not hold the message until it is whole.
        var sending = socket.SendAsync(sent, WebSocketMessageType.Binary, endOfMessage: true, CancellationToken.None);
        var received = new MemoryStream();
        var buffer = new byte[10_000];
        WebSocketReceiveResult part;
        do
        {
            part = await socket.ReceiveAsync(buffer, CancellationToken.None);
            received.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        await sending;

        Assert.Equal(WebSocketMessageType.Binary, part.MessageType);
        Assert.Equal(sent, received.ToArray());

        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "done", CancellationToken.None);
        Assert.Equal((WebSocketCloseStatus.NormalClosure, "done"), (socket.CloseStatus, socket.CloseStatusDescription));
    }

    [Fact]
    public async Task A_worker_that_stops_says_so_to_its_websockets()
    {
        await using var worker = await StartAsync();
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://{new Uri(worker.Urls.Single()).Authority}/ws"), CancellationToken.None);

        // An answer proves that the echo runs; only then is there something to stop.
        await socket.SendAsync("hi"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        await socket.ReceiveAsync(new byte[10], CancellationToken.None);

        var stopping = worker.StopAsync();
        var received = await socket.ReceiveAsync(new byte[10], CancellationToken.None);

        Assert.Equal((WebSocketMessageType.Close, WebSocketCloseStatus.EndpointUnavailable), (received.MessageType, received.CloseStatus));
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        await stopping;
    }

    [Fact]
    public async Task Exit_answers_first_and_then_ends_the_process()
    {
        Assert.Equal("demo/3 exits with 3\n", await _client.GetStringAsync("/exit?status=3"));

        Assert.Equal(3, await _exited.Task.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData("9000", "127.0.0.1:9000")]
    [InlineData("/tmp/w.sock", "unix:/tmp/w.sock")]
    [InlineData("", null)]
    [InlineData("http", null)]
    [InlineData("70000", null)]
    public void Port_is_a_number_or_a_path(string port, string? expected)
    {
        var environment = new Hashtable { ["PORT"] = port, ["FASTLB_WORKER"] = "demo/2", ["FASTLB_SLOT"] = "2", ["FASTLB_GENERATION"] = "5" };

        var identity = DemoWorkerIdentity.FromEnvironment(environment);

        Assert.Equal(expected, identity?.Listen.ToString());
        Assert.True(identity is null or { Name: "demo/2", Slot: 2, Generation: 5 });
    }

    private static HttpClient ClientOf(WebApplication worker) => new() { BaseAddress = new Uri(worker.Urls.Single()) };

    private async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, _client.BaseAddress!.Port);
        return socket;
    }

    private static async Task<string> ReceiveUntilAsync(Socket socket, string end)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var text = "";
        var buffer = new byte[4096];
        while (!text.EndsWith(end, StringComparison.Ordinal))
        {
            var count = await socket.ReceiveAsync(buffer, patience.Token);
            Assert.True(count > 0, $"the connection ended after: {text}");
            text += Encoding.ASCII.GetString(buffer, 0, count);
        }

        return text;
    }
}
