using System.Net.Sockets;
using System.Text;
using FastLB.Stories;
using Microsoft.AspNetCore.Http.HttpResults;

namespace FastLB.Admin;

/// <summary>
/// What operators and monitoring ask: <c>/healthz</c>, <c>/status</c>, <c>/metrics</c>. It runs on the thread pool, beside the
/// loops. What an <see cref="Operator"/> may change is changed with PUT. Who may ask is <see cref="AdminAccess"/>'s care; that without a token a web page in
/// somebody's browser may not is that of <see cref="OperatorRoutes"/>.
/// </summary>
internal sealed class AdminApi : IAsyncDisposable
{
    public const string Hint =
        """
        This is the admin API of FastLB.
          /healthz   200 when every pool has a ready worker; otherwise 503 and which has none, or that FastLB stops
          /status    everything about loops, listeners, pools and workers, as JSON
          /metrics   the same counters for Prometheus
          /requests?failed   the latest requests that failed or were tried again
          /requests/ID       what became of one of them, in sentences
        Changes that stay until the next start:
          PUT /pools/POOL/strategy                the name of a strategy, or {"name": "consistent-hash", "key": "header:X-User"}
          PUT /pools/POOL/breaker                 open, closed or auto
          PUT /pools/POOL/workers/SLOT/weight     a number from 1 to 1000
          PUT /pools/POOL/workers/SLOT/breaker    open, closed or auto
          PUT /pools/POOL/workers/SLOT/state      on, drain (it keeps its sessions) or off
          PUT /pools/POOL/instances               how many workers FastLB runs, or 'configured'
          POST /pools/POOL/workers                one more address, and perhaps its weight
          DELETE /pools/POOL/workers/SLOT         one address less
          PUT /routes/NAME/maintenance            on, off or configured, for the routes of that name
        Other configuration:
          POST /config                            reads the file again, or serves the body; ?reset=true undoes the changes above


        """;

    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(1);

    private readonly WebApplication _application;
    private readonly string? _unixPath;

    private AdminApi(WebApplication application, string? unixPath)
    {
        _application = application;
        _unixPath = unixPath;
    }

    /// <summary>Serves on a socket of <see cref="AdminSocket.Open"/>, which it takes over.</summary>
    /// <param name="getStatus">Called for each request, on any thread.</param>
    /// <param name="reloader">Who reads the configuration anew; null: nobody.</param>
    /// <param name="changes">Who carries out what is asked for with PUT.</param>
    /// <param name="stories">Who remembers requests that failed.</param>
    /// <param name="token">What has to be shown for everything but /healthz; null: nothing.</param>
    /// <param name="logs">Where the framework's warnings go.</param>
    public static async Task<AdminApi> StartAsync(Socket socket, Func<ServerStatus> getStatus, Operator changes, IRequestStories stories, Reloader? reloader, AdminToken? token, ILoggerProvider logs)
    {
        // The empty builder reads neither appsettings.json of the directory that FastLB happens to be started in nor
        // ASPNETCORE_URLS, both of which belong to the user's own project.
        // Named, because the default is the working directory, which may have been removed by a deploy. Nothing is read from it.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.Logging.AddFilter(null, LogLevel.Warning).AddProvider(logs);
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddRoutingCore();
        builder.Services.ConfigureHttpJsonOptions(o => o.SerializerOptions.TypeInfoResolverChain.Insert(0, StatusJson.Default));
        builder.WebHost.UseKestrelCore()
            .UseSockets(o => o.CreateBoundListenSocket = _ => socket)
            .ConfigureKestrel(o =>
            {
                o.AddServerHeader = false;
                o.Limits.MaxRequestBodySize = OperatorRoutes.MaxBodyBytes;
                o.Limits.MaxConcurrentConnections = 256;
                if (socket.LocalEndPoint is UnixDomainSocketEndPoint unix)
                {
                    o.ListenUnixSocket(unix.ToString()!);
                }
                else
                {
                    o.Listen(socket.LocalEndPoint!);
                }
            });

        var application = builder.Build();
        if (token is not null)
        {
            AdminAccess.Require(application, token);
        }
        else
        {
            AdminAccess.RequireLocalName(application);
        }

        application.UseRouting();
        string[] reading = [HttpMethods.Get, HttpMethods.Head];
        application.MapMethods("/", reading, () => TypedResults.Text(Hint));
        application.MapMethods("/healthz", reading, () => Health(getStatus()));
        application.MapMethods(
            "/status",
            reading,
            () => TypedResults.Json(getStatus(), StatusJson.Default.ServerStatus));
        application.MapMethods(
            "/metrics",
            reading,
            () => TypedResults.Text(MetricsText.Render(getStatus()), MetricsText.ContentType, Encoding.UTF8));
        OperatorRoutes.Map(application, changes);
        RequestRoutes.Map(application, stories);
        if (reloader is not null)
        {
            ConfigurationRoutes.Map(application, reloader);
        }

        application.MapFallback(() => TypedResults.Text($"There is nothing here.\n{Hint}", statusCode: StatusCodes.Status404NotFound));
        await application.StartAsync();
        return new AdminApi(application, (socket.LocalEndPoint as UnixDomainSocketEndPoint)?.ToString());
    }

    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(StopPatience);
        await _application.StopAsync(patience.Token);
        await _application.DisposeAsync();
        if (_unixPath is not null)
        {
            File.Delete(_unixPath);
        }
    }

    private static ContentHttpResult Health(ServerStatus status)
    {
        if (status.Draining)
        {
            // Who balances over several FastLBs learns here that this one takes nothing new.
            return TypedResults.Text("draining\n", statusCode: StatusCodes.Status503ServiceUnavailable);
        }

        var without = status.Pools.Where(p => !p.Workers.Any(w => w.State == WorkerStatus.Ready)).Select(p => p.Name).ToArray();
        return without.Length == 0
            ? TypedResults.Text("ok: every pool has a ready worker\n")
            : TypedResults.Text(
                $"no worker is ready in pool {string.Join(", ", without)}\n",
                statusCode: StatusCodes.Status503ServiceUnavailable);
    }

    /// <summary>Leaves SIGTERM and SIGINT to the command, which drains before it stops.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
