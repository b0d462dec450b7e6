using FastLB.Core.Resilience;

namespace FastLB.Configuration;

/// <summary>Reads a pool's <c>health</c>: <c>tcp</c>, or <c>{ path: /healthz, status: 200-299, interval: 2s, ... }</c>.</summary>
internal static class HealthReader
{
    private const int MinIntervalMs = 10;
    private const int MaxCount = 100;

    private static readonly string[] Keys = ["path", "host", "status", "body", "interval", "timeout", "rise", "fall"];

    public static HealthCheckSettings? Read(Section pool, Mistakes mistakes)
    {
        switch (pool.Find("health"))
        {
            case null or ScalarNode { Text: "false" }:
                return null;
            case ScalarNode { Text: "tcp" }:
                return new HealthCheckSettings();
            case ScalarNode other:
                mistakes.Error(other, $"health: expected tcp or keys ({string.Join(", ", Keys)}), found {(other.IsNothing ? other.Kind : $"'{other.Text}'")}");
                return null;
            case var node:
                return Section.Open(node, $"health of {pool.Name}", Keys, mistakes) is { } health ? ReadKeys(health, mistakes) : null;
        }
    }

    private static HealthCheckSettings ReadKeys(Section health, Mistakes mistakes)
    {
        var normal = new HealthCheckSettings();
        var path = health.Text("path", "a path like /healthz");
        if (path is not null && (path.Text[0] != '/' || path.Text.AsSpan().ContainsAnyExceptInRange('!', '~')))
        {
            mistakes.Error(path, $"path: '{path.Text}' is not a path; write one like /healthz");
        }

        if (path is null)
        {
            foreach (var key in (string[])["host", "status", "body"])
            {
                if (health.FindKey(key) is { } pointless)
                {
                    mistakes.Error(pointless, $"'{key}' has no meaning in {health.Name} without a 'path' to ask for");
                }
            }
        }

        var host = health.Text("host", "a host name");
        if (host is not null && !HostName.IsValid(host.Text))
        {
            mistakes.Error(host, $"host: '{host.Text}' is not a host name");
        }

        var interval = health.DurationMs("interval") ?? normal.IntervalMs;
        if (interval < MinIntervalMs)
        {
            mistakes.Error(health.Find("interval")!, $"interval: {interval} ms is too often; {MinIntervalMs} ms is the least");
        }

        var timeout = health.DurationMs("timeout") ?? Math.Min(normal.TimeoutMs, interval);
        var (least, most) = ReadStatus(health, mistakes) ?? (normal.MinStatus, normal.MaxStatus);
        return new HealthCheckSettings
        {
            Path = path?.Text,
            Host = host?.Text ?? normal.Host,
            MinStatus = least,
            MaxStatus = most,
            Body = health.Text("body", "a text that the answer contains")?.Text,
            IntervalMs = interval,
            TimeoutMs = timeout,
            Rise = health.Number("rise", 1, MaxCount) ?? normal.Rise,
            Fall = health.Number("fall", 1, MaxCount) ?? normal.Fall,
        };
    }

    private static (int Least, int Most)? ReadStatus(Section health, Mistakes mistakes)
    {
        const string Expected = "a status or a range like 200-299";
        if (health.Text("status", Expected) is not { } text)
        {
            return null;
        }

        var dash = text.Text.IndexOf('-', StringComparison.Ordinal);
        var first = dash < 0 ? text.Text : text.Text[..dash];
        var last = dash < 0 ? text.Text : text.Text[(dash + 1)..];
        if (WholeNumber.TryParse(first, 100, 599, null, 0, out var least, out _) && WholeNumber.TryParse(last, 100, 599, null, 0, out var most, out _) && least <= most)
        {
            return (least, most);
        }

        mistakes.Error(text, $"status: '{text.Text}' is not {Expected}, from 100 to 599");
        return null;
    }
}
