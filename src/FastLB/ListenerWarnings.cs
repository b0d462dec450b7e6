using FastLB.Linux;

namespace FastLB;

/// <summary>Says at start what of the listeners' configuration this machine cannot keep.</summary>
internal static partial class ListenerWarnings
{
    public static void Tell(Settings settings, IEnumerable<ServedListener> listeners, ILogger log)
    {
        foreach (var listener in listeners)
        {
            foreach (var refused in listener.Sockets.Refused)
            {
                LogRefused(log, listener.Sockets.Endpoint.ToString(), refused);
            }
        }

        if (DescriptorShortage(settings, DescriptorBudget.Limit) is { } shortage)
        {
            LogShortage(log, shortage);
        }
    }

    /// <summary>A sentence when the connections that are allowed are more than the process may have descriptors for; otherwise null.</summary>
    /// <param name="limit">RLIMIT_NOFILE.</param>
    internal static string? DescriptorShortage(Settings settings, long limit)
    {
        var ofListeners = settings.Listeners.Any(l => l.MaxConnections == 0) ? long.MaxValue : settings.Listeners.Sum(l => (long)l.MaxConnections);
        var allowed = settings.MaxConnections > 0 ? Math.Min(settings.MaxConnections, ofListeners) : ofListeners;
        if (allowed == long.MaxValue || DescriptorBudget.NeededFor(allowed) <= limit)
        {
            return null;
        }

        return $"maxConnections allows {allowed} clients, but this process may open only {limit} descriptors (ulimit -n), which is enough for {DescriptorBudget.ClientsOf(limit)}, each with a connection to a worker; "
            + $"raise the limit to {DescriptorBudget.NeededFor(allowed)} (LimitNOFILE= in a systemd unit) or lower maxConnections";
    }

    [LoggerMessage(LogLevel.Warning, "{bind}: the kernel does not take {what}; it listens without it")]
    private static partial void LogRefused(ILogger log, string bind, string what);

    [LoggerMessage(LogLevel.Warning, "{shortage}")]
    private static partial void LogShortage(ILogger log, string shortage);
}
