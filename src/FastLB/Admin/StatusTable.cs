using System.Globalization;
using System.Text;

namespace FastLB.Admin;

/// <summary>The status as a person reads it at a terminal: plain text, columns as wide as their longest cell.</summary>
internal static class StatusTable
{
    public static string Render(ServerStatus status)
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"FastLB {status.Version}, pid {status.Pid}, up {Uptime(status.UptimeSeconds)}, engine {status.Engine} ({status.EngineReason})");
        text.AppendLine(status.Draining ? ", DRAINING" : "");
        text.Append(
            CultureInfo.InvariantCulture,
            $"{Count(status.Totals.Requests)} requests, {Count(status.Totals.ConnectionsOpen)} connections open of {Count(status.Totals.ConnectionsAccepted)} accepted, ");
        text.AppendLine(
            CultureInfo.InvariantCulture,
            $"{Bytes(status.Totals.BytesFromClients)} in, {Bytes(status.Totals.BytesToClients)} out");
        AppendLatency(text, status.Totals.Latency);
        AppendCounts(text, "answers", status.Totals.Responses);
        AppendCounts(text, "errors", status.Totals.Errors);

        text.AppendLine();
        AppendTable(
            text,
            ["LISTENER", "PROTOCOL", "CONNECTIONS"],
            [.. status.Listeners.Select(l => new[] { l.Bind, l.Protocol, l.Connections is { } connections ? Count(connections) : "-" })]);
        foreach (var (listener, route) in status.Listeners.SelectMany(l => l.Maintenance.Select(route => (l.Bind, route))))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  {listener}: the operator switched maintenance of route {route}");
        }

        foreach (var pool in status.Pools)
        {
            text.AppendLine();
            text.Append(
                CultureInfo.InvariantCulture,
                $"pool {pool.Name}: {pool.Strategy}, {(pool.Sticky is null ? "not sticky" : $"sticky by {pool.Sticky}")}, {Count(pool.Requests)} requests");
            text.AppendLine();
            AppendPoolState(text, pool);
            AppendCounts(text, "errors", pool.Errors);
            AppendTable(
                text,
                ["WORKER", "STATE", "GENERATION", "PID", "ADDRESS", "IN FLIGHT", "REQUESTS", "FAILURES", "RESTARTS", "LAST EXIT"],
                [.. pool.Workers.Select(w => new[]
                {
                    w.Name,
                    w.Breaker is null or "closed" ? w.State : $"{w.State}, breaker {w.Breaker}",
                    w.Generation == 0 ? "-" : Count(w.Generation),
                    w.Pid?.ToString(CultureInfo.InvariantCulture) ?? "-",
                    w.Endpoint ?? "-",
                    Count(w.InFlight),
                    Count(w.Requests),
                    Count(w.Failures),
                    Count(w.Restarts),
                    w.LastExit ?? "-",
                })]);
        }

        text.AppendLine();
        AppendTable(
            text,
            ["LOOP", "CORE", "CONNECTIONS", "TO WORKERS", "REQUESTS", "ALLOCATED", "BUFFERS", "ACCEPT PAUSES"],
            [.. status.Loops.Select(l => new[]
            {
                Count(l.Index),
                l.Cpu?.ToString(CultureInfo.InvariantCulture) ?? "-",
                Count(l.Connections),
                Count(l.UpstreamConnections),
                Count(l.Requests),
                Bytes(l.AllocatedBytes),
                Count(l.BuffersRented),
                Count(l.AcceptPauses),
            })]);
        return text.ToString();
    }

    /// <summary>What is not as usual: what the operator changed, reasons, waiting requests, open breakers, and how much is used.</summary>
    private static void AppendPoolState(StringBuilder text, PoolStatus pool)
    {
        foreach (var change in pool.OperatorChanges)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  the operator's {change}");
        }

        if (pool.StrategyReason is { } reason)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  {reason}");
        }

        if (pool.Capacity is { MostPerSecond: { } most } capacity)
        {
            var full = capacity.FullInSeconds is { } seconds ? $", full in {Uptime(seconds)} if it goes on like this" : "";
            text.AppendLine(CultureInfo.InvariantCulture, $"  {capacity.RequestsPerSecond:F0} of about {most:F0} requests/s ({capacity.Use:P0}){full}");
        }

        if (pool.Waiting > 0 || pool.InFlightLimit is not null)
        {
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"  {Count(pool.InFlight)} in flight{(pool.InFlightLimit is { } limit ? $" of at most {Count(limit)}" : "")}, {Count(pool.Waiting)} waiting");
        }

        if (pool.Breaker is not (null or "closed"))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  the pool's breaker is {pool.Breaker}");
        }

        if (pool.Panicking)
        {
            text.AppendLine("  so many workers are unfit that all are used");
        }

        var behind = pool.Workers.Where(w => w.IsBehind).Select(w => w.Name).ToArray();
        if (behind.Length > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  still as before the last rolling restart, which has stopped: {string.Join(", ", behind)}; 'fastlb reload' tries again");
        }

        foreach (var worker in pool.Workers.Where(w => w.Why is not null))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  {worker.Name} is {worker.Why}");
        }
    }

    private static void AppendLatency(StringBuilder text, LatencyStatus latency)
    {
        if (latency.Count > 0)
        {
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"a request took {Duration(latency.P50Seconds)} (median), {Duration(latency.P99Seconds)} (99 %), {Duration(latency.MaxSeconds)} (longest)");
        }
    }

    private static string Duration(double seconds) => seconds switch
    {
        < 0.001 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e6:F0} us"),
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e3:F1} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds:F1} s"),
    };

    private static void AppendCounts(StringBuilder text, string title, IReadOnlyDictionary<string, long> counts)
    {
        var shown = counts.Where(c => c.Value > 0).Select(c => $"{c.Key} {Count(c.Value)}").ToArray();
        if (shown.Length > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{title}: {string.Join(", ", shown)}");
        }
    }

    private static void AppendTable(StringBuilder text, string[] titles, IReadOnlyList<string[]> rows)
    {
        foreach (var row in rows.Prepend(titles))
        {
            var line = new StringBuilder();
            for (var column = 0; column < titles.Length; column++)
            {
                var width = rows.Select(r => r[column].Length).Append(titles[column].Length).Max();
                line.Append(row[column].PadRight(width + 2));
            }

            text.AppendLine(line.ToString().TrimEnd());
        }
    }

    private static string Count(long count) => count.ToString(CultureInfo.InvariantCulture);

    private static string Bytes(long bytes) => bytes switch
    {
        < 10 * 1024 => $"{bytes} B",
        < 10 * 1024 * 1024 => $"{bytes / 1024} KB",
        < 10L * 1024 * 1024 * 1024 => $"{bytes / (1024 * 1024)} MB",
        _ => $"{bytes / (1024 * 1024 * 1024)} GB",
    };

    private static string Uptime(double seconds)
    {
        var time = TimeSpan.FromSeconds(seconds);
        return time switch
        {
            { TotalDays: >= 1 } => $"{(int)time.TotalDays}d {time.Hours}h",
            { TotalHours: >= 1 } => $"{time.Hours}h {time.Minutes}m",
            { TotalMinutes: >= 1 } => $"{time.Minutes}m {time.Seconds}s",
            _ => $"{time.Seconds}s",
        };
    }
}
