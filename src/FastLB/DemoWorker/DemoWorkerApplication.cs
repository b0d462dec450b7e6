using System.Globalization;
using System.IO.Pipelines;
using System.Net.WebSockets;
using System.Text;

namespace FastLB.DemoWorker;

/// <summary>
/// The built-in worker: small endpoints that show what a balancer does, and that tests lean on. Nothing here is limited that
/// the balancer in front should limit: bodies have any size and may come as slowly as they like.
/// </summary>
internal sealed class DemoWorkerApplication
{
    /// <summary>The longest that <c>/slow</c> waits.</summary>
    public const int MaxSlowMs = 60_000;

    /// <summary>The most that <c>/bytes</c> sends: 100 GB.</summary>
    public const long MaxBytes = 100L * 1024 * 1024 * 1024;

    private const int WebSocketBufferBytes = 16 * 1024;

    private readonly DemoWorkerIdentity _identity;
    private readonly Action<int> _exit;
    private long _requests;

    private DemoWorkerApplication(DemoWorkerIdentity identity, Action<int> exit)
    {
        _identity = identity;
        _exit = exit;
    }

    /// <summary>Builds the worker; nothing listens before it is started.</summary>
    /// <param name="identity">Who it is and where it listens; port 0 lets the kernel choose.</param>
    /// <param name="exit">Ends the process with a status, for <c>/exit</c>.</param>
    public static WebApplication Build(DemoWorkerIdentity identity, Action<int> exit)
    {
        // The empty builder starts quickest, and no file or variable of the user's project can change what the demo does.
        // Named, because the default is the working directory, which may have been removed by a deploy. Nothing is read from it.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(o =>
        {
            o.AddServerHeader = false;
            o.Limits.MaxRequestBodySize = null;
            o.Limits.MinRequestBodyDataRate = null;
            o.Limits.MinResponseDataRate = null;
            if (identity.Listen.IsUnix)
            {
                if (File.Exists(identity.Listen.UnixPath))
                {
                    File.Delete(identity.Listen.UnixPath);
                }

                o.ListenUnixSocket(identity.Listen.UnixPath);
            }
            else
            {
                o.Listen(identity.Listen.Address, identity.Listen.Port);
            }
        });

        var application = builder.Build();
        application.UseWebSockets();
        application.UseRouting();
        new DemoWorkerApplication(identity, exit).MapTo(application);
        return application;
    }

    private void MapTo(WebApplication application)
    {
        string[] reading = [HttpMethods.Get, HttpMethods.Head];
        application.Use((context, next) =>
        {
            Interlocked.Increment(ref _requests);
            return next(context);
        });
        application.MapMethods("/", reading, () => TypedResults.Text(Greeting()));
        application.MapMethods("/pid", reading, () => TypedResults.Text($"{Environment.ProcessId}\n"));
        application.MapMethods("/healthz", reading, () => TypedResults.Text("ok\n"));
        application.MapMethods("/headers", reading, Headers);
        application.MapMethods("/slow", reading, SlowAsync);
        application.MapMethods("/bytes/{count}", reading, BytesAsync);
        application.MapMethods("/exit", [HttpMethods.Get, HttpMethods.Post], Exit);
        application.Map("/echo", EchoAsync);
        application.Map("/ws", context => EchoMessagesAsync(context, application.Lifetime.ApplicationStopping));
        application.MapFallback(context => AnswerAsync(
            context,
            StatusCodes.Status404NotFound,
            "The demo worker answers /, /pid, /slow?ms=N, /bytes/N, /echo, /ws, /headers, /healthz and /exit?status=N."));
    }

    private string Greeting() => string.Create(
        CultureInfo.InvariantCulture,
        $"Hello from {_identity.Name}: slot {_identity.Slot}, generation {_identity.Generation}, pid {Environment.ProcessId}, request {Interlocked.Read(ref _requests)}\n");

    /// <summary>The request's headers as they arrived, one line each; a repeated header is repeated.</summary>
    private static Task Headers(HttpContext context)
    {
        var text = new StringBuilder();
        foreach (var (name, values) in context.Request.Headers)
        {
            foreach (var value in values)
            {
                text.Append(name).Append(": ").Append(value).Append('\n');
            }
        }

        return AnswerAsync(context, StatusCodes.Status200OK, text.ToString().TrimEnd('\n'));
    }

    private async Task SlowAsync(HttpContext context)
    {
        if (!TryGetNumber(context.Request.Query["ms"], 0, MaxSlowMs, out var milliseconds))
        {
            await AnswerAsync(
                context,
                StatusCodes.Status400BadRequest,
                $"ms is a number from 0 to {MaxSlowMs}, like /slow?ms=500");
            return;
        }

        await Task.Delay(TimeSpan.FromMilliseconds(milliseconds), context.RequestAborted);
        await AnswerAsync(context, StatusCodes.Status200OK, $"{_identity.Name} waited {milliseconds} ms");
    }

    /// <summary>Sends <see cref="BytePattern"/> with a Content-Length, as fast as it is taken.</summary>
    private static async Task BytesAsync(HttpContext context)
    {
        if (!TryGetNumber(context.Request.RouteValues["count"] as string, 0, MaxBytes, out var count))
        {
            await AnswerAsync(
                context,
                StatusCodes.Status400BadRequest,
                $"the number of bytes is from 0 to {MaxBytes}, like /bytes/1048576");
            return;
        }

        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = count;
        if (HttpMethods.IsHead(context.Request.Method))
        {
            return;
        }

        for (var left = count; left > 0; left -= BytePattern.BlockBytes)
        {
            var block = BytePattern.Block[..(int)Math.Min(left, BytePattern.BlockBytes)];
            await context.Response.BodyWriter.WriteAsync(block, context.RequestAborted);
        }
    }

    /// <summary>Sends the request's body back while it arrives; never holds more than one piece of it.</summary>
    private static async Task EchoAsync(HttpContext context)
    {
        context.Response.ContentType = context.Request.ContentType ?? "application/octet-stream";
        context.Response.ContentLength = context.Request.ContentLength;
        var (reader, writer) = (context.Request.BodyReader, context.Response.BodyWriter);
        ReadResult read;
        do
        {
            read = await reader.ReadAsync(context.RequestAborted);
            foreach (var piece in read.Buffer)
            {
                await writer.WriteAsync(piece, context.RequestAborted);
            }

            reader.AdvanceTo(read.Buffer.End);
        }
        while (!read.IsCompleted);
    }

    /// <summary>Sends each fragment of a message back as it arrives. Says 1001 (going away) when the worker stops.</summary>
    private static async Task EchoMessagesAsync(HttpContext context, CancellationToken stopping)
    {
        if (!context.WebSockets.IsWebSocketRequest)
        {
            await AnswerAsync(
                context,
                StatusCodes.Status426UpgradeRequired,
                "/ws speaks WebSocket; try: npx wscat -c ws://127.0.0.1:8000/ws");
            return;
        }

        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        await using var goingAway = stopping.Register(
            () => _ = SayGoingAwayAsync(socket));
        var buffer = new byte[WebSocketBufferBytes];
        try
        {
            while (true)
            {
                var received = await socket.ReceiveAsync(buffer.AsMemory(), context.RequestAborted);
                if (received.MessageType == WebSocketMessageType.Close)
                {
                    if (socket.State == WebSocketState.CloseReceived)
                    {
                        await socket.CloseOutputAsync(
                            socket.CloseStatus ?? WebSocketCloseStatus.NormalClosure,
                            socket.CloseStatusDescription,
                            context.RequestAborted);
                    }

                    return;
                }

                await socket.SendAsync(
                    buffer.AsMemory(0, received.Count),
                    received.MessageType,
                    received.EndOfMessage,
                    context.RequestAborted);
            }
        }
        catch (Exception failure) when (failure is WebSocketException or OperationCanceledException)
        {
            // The other side is gone, or a close was sent in the middle of an echo. There is nobody left to tell.
        }
    }

    private static async Task SayGoingAwayAsync(WebSocket socket)
    {
        try
        {
            await socket.CloseOutputAsync(
                WebSocketCloseStatus.EndpointUnavailable,
                "the worker stops",
                CancellationToken.None);
        }
        catch (Exception failure) when (failure is WebSocketException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // It ended by itself at the same moment.
        }
    }

    /// <summary>Answers, then ends the process with the status asked for.</summary>
    private Task Exit(HttpContext context)
    {
        if (!TryGetNumber(context.Request.Query["status"].FirstOrDefault() ?? "0", 0, 255, out var status))
        {
            return AnswerAsync(
                context,
                StatusCodes.Status400BadRequest,
                "status is a number from 0 to 255, like /exit?status=3");
        }

        context.Response.OnCompleted(() =>
        {
            _exit((int)status);
            return Task.CompletedTask;
        });
        context.Response.Headers.Connection = "close";
        return AnswerAsync(context, StatusCodes.Status200OK, $"{_identity.Name} exits with {status}");
    }

    private static bool TryGetNumber(string? text, long min, long max, out long number) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number >= min && number <= max;

    private static Task AnswerAsync(HttpContext context, int status, string sentence)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        var body = Encoding.UTF8.GetBytes(sentence + "\n");
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }
}
