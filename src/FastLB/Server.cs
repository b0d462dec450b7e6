// A placeholder so that the program compiles on its own: it runs and balances nothing. The lead's server replaces this file.
using FastLB.Admin;

namespace FastLB;

internal sealed class Server : IAsyncDisposable
{
    private readonly Settings _settings;
    private readonly DateTimeOffset _startedAt = DateTimeOffset.UtcNow;
    private volatile bool _draining;

    private readonly ILogger _log;

    private Server(Settings settings, ILogger log) => (_settings, _log) = (settings, log);

    public static Server Start(Settings settings, ILoggerFactory logs)
    {
        var log = logs.CreateLogger("server");
        log.LogInformation("placeholder with {Listeners} listeners", settings.Listeners.Count);
        return new Server(settings, log);
    }

    public ServerStatus GetStatus() => new(
        "0.1.0",
        _startedAt,
        (DateTimeOffset.UtcNow - _startedAt).TotalSeconds,
        Environment.ProcessId,
        "none",
        "placeholder",
        _draining,
        [],
        [.. _settings.Listeners.Select(l => new ListenerStatus(l.Bind.ToString(), l.Protocol == Core.Proxy.ListenerProtocol.Tcp ? "tcp" : "http", null))],
        [.. _settings.Pools.Select(p => new PoolStatus(p.Name, "two-choices", p.Sticky?.CookieName, 0, new Dictionary<string, long>(), []))],
        new TotalsStatus(0, 0, 0, 0, 0, new Dictionary<string, long>(), new Dictionary<string, long>()));

    public void RestartRolling() => _log.LogInformation("placeholder restarts nothing");

    public Task DrainAsync(CancellationToken atOnce)
    {
        _draining = true;
        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

/// <summary>The server could not start. The message is a sentence for people.</summary>
internal sealed class ServerStartException(string message) : Exception(message);
