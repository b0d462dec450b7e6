using System.Net.Sockets;
using FastLB.Admin;
using FastLB.Logging;

namespace FastLB.Commands;

/// <summary>
/// FastLB in the foreground, from start to end: the admin address is bound, the server started, then the admin API behind it;
/// a signal drains the server and everything is closed in reverse. Runs on the main thread, which only waits.
/// </summary>
internal static class Foreground
{
    public static int Run(Settings settings, Plan plan, Action? started)
    {
        using var logs = LogProvider.ForStandardError(plan.LogFormat);
        using var factory = LogProvider.CreateFactory(logs);
        var log = factory.CreateLogger("fastlb");
        foreach (var warning in plan.Warnings)
        {
            log.LogWarning("{Warning}", warning);
        }

        using var signals = new Signals(log, TimeProvider.System);
        try
        {
            RunAsync(settings, plan, logs, factory, signals, log, started).GetAwaiter().GetResult();
            log.LogInformation("stopped");
            return ExitCode.Ok;
        }
        catch (ServerStartException failure)
        {
            log.LogError("{Problem}", failure.Message);
            return ExitCode.Failure;
        }
    }

    private static async Task RunAsync(
        Settings settings,
        Plan plan,
        LogProvider logs,
        ILoggerFactory factory,
        Signals signals,
        ILogger log,
        Action? started)
    {
        using var adminSocket = settings.Admin is { } wanted ? AdminSocket.Open(wanted) : null;
        await using var server = Server.Start(settings, factory);
        signals.RestartWanted = server.RestartRolling;
        signals.ReopenWanted = server.ReopenAccessLog;
        using var reloader = new Reloader(server, plan.File, settings.IsWatched, factory.CreateLogger("configuration"), plan.Warnings);
        signals.ReloadWanted = () => _ = reloader.ReloadFileAsync(forgetsChanges: false);
        await using var admin = await StartAdminAsync(adminSocket, settings, server, reloader, logs);
        if (settings.AdminBind is { } endpoint)
        {
            log.LogInformation("the admin API is served on {Endpoint}", endpoint);
        }

        started?.Invoke();
        await signals.StopWanted;
        await server.DrainAsync(signals.StopAtOnce);
    }

    private static async Task<AdminApi?> StartAdminAsync(Socket? socket, Settings settings, Server server, Reloader reloader, LogProvider logs) =>
        socket is null ? null : await AdminApi.StartAsync(socket, server.GetStatus, server.Operator, server.Stories, reloader, settings.Admin?.Token, logs);
}
