using System.Globalization;
using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Resilience;

namespace FastLB.Configuration;

/// <summary>Reads what protects a pool: <c>retries</c>, <c>fallback</c>, <c>limits</c>, <c>queue</c> and <c>rateLimits</c>.</summary>
internal sealed class ProtectionReader(Mistakes mistakes, string baseDirectory)
{
    public const int MaxRateLimits = 16;
    public const int MaxRetries = 10;
    public const int MaxFallbackBytes = 60 * 1024;

    private const int MaxLoad = 1_000_000;
    private const double MaxPerSecond = 1_000_000;

    private static readonly string[] RetryKeys = ["attempts", "on", "attemptTimeout", "budget", "backoff", "maxBackoff"];
    private static readonly string[] FallbackKeys = ["pool", "text", "file", "status", "contentType"];
    private static readonly string[] LimitKeys = ["maxRequests", "maxConnections", "worker"];
    private static readonly string[] WorkerLimitKeys = ["maxRequests", "maxConnections"];
    private static readonly string[] QueueKeys = ["length", "priorityHeader", "priority"];
    private static readonly string[] RateKeys = ["name", "key", "rate", "burst"];

    private static readonly (string Word, RetryOn Value)[] RetryWords =
    [
        ("closed", RetryOn.Closed), ("timeout", RetryOn.Timeout), ("502", RetryOn.Status502), ("503", RetryOn.Status503), ("504", RetryOn.Status504),
    ];

    public RetrySettings ReadRetries(Section pool)
    {
        var normal = new RetrySettings();
        if (Open(pool, "retries", RetryKeys) is not { } retries)
        {
            return normal;
        }

        var backoff = retries.DurationMs("backoff") ?? normal.BackoffMs;
        var maxBackoff = retries.DurationMs("maxBackoff") ?? Math.Max(normal.MaxBackoffMs, backoff);
        if (maxBackoff < backoff)
        {
            mistakes.Error(retries.FindKey("maxBackoff")!, $"maxBackoff: it is shorter than backoff ({backoff} ms)");
        }

        var attempt = retries.DurationMs("attemptTimeout");
        var on = ReadRetryOn(retries) ?? (attempt is null ? normal.On : normal.On | RetryOn.Timeout);
        if (on.HasFlag(RetryOn.Timeout) && attempt is null)
        {
            mistakes.Error(retries.Find("on")!, "on: 'timeout' needs 'attemptTimeout' beside it, after which an attempt is given up for another one, like attemptTimeout: 1s");
        }

        return new RetrySettings
        {
            Attempts = retries.Number("attempts", 0, MaxRetries) ?? normal.Attempts,
            On = on,
            AttemptMs = attempt ?? 0,
            BudgetShare = retries.Share("budget") ?? normal.BudgetShare,
            BackoffMs = backoff,
            MaxBackoffMs = maxBackoff,
        };
    }

    /// <summary>The fallback, and where it names a pool.</summary>
    public (FallbackSettings? Fallback, ScalarNode? Pool) ReadFallback(Section pool)
    {
        if (Open(pool, "fallback", FallbackKeys) is not { } fallback)
        {
            return (null, null);
        }

        string[] sources = [.. ((string[])["pool", "text", "file"]).Where(k => fallback.Find(k) is not null)];
        if (sources.Length != 1)
        {
            mistakes.Error(
                fallback.Node,
                sources.Length == 0
                    ? $"{fallback.Name} says nothing; write 'pool', 'text' or 'file'"
                    : $"{fallback.Name} has {string.Join(" and ", sources.Select(s => $"'{s}'"))}; one of them answers, so write one");
            return (null, null);
        }

        if (sources[0] == "pool")
        {
            foreach (var key in (string[])["status", "contentType"])
            {
                if (fallback.FindKey(key) is { } pointless)
                {
                    mistakes.Error(pointless, $"'{key}' has no meaning in {fallback.Name}, where a pool answers");
                }
            }

            return fallback.Text("pool", "the name of a pool") is { } name ? (new FallbackSettings(name.Text, null), name) : (null, null);
        }

        var status = fallback.Number("status", 200, 599) ?? 503;
        var type = fallback.Text("contentType", "a media type like text/html")?.Text;
        if (type is not null && type.Any(c => c is < ' ' or > '~'))
        {
            mistakes.Error(fallback.Find("contentType")!, "contentType: it has characters that a header cannot have");
            type = null;
        }

        if (sources[0] == "text")
        {
            return fallback.Text("text", "the text to answer") is { } text
                ? (new FallbackSettings(null, ErrorResponse.Static(status, type ?? "text/plain; charset=utf-8", System.Text.Encoding.UTF8.GetBytes(text.Text + "\n"))), null)
                : (null, null);
        }

        return (ReadFallbackFile(fallback, status, type), null);
    }

    public LoadLimits ReadLimits(Section pool)
    {
        if (Open(pool, "limits", LimitKeys) is not { } limits)
        {
            return LoadLimits.None;
        }

        var requests = limits.Number("maxRequests", 1, MaxLoad, "adaptive", -1) ?? 0;
        var worker = limits.Find("worker") is { } node ? Section.Open(node, $"worker in {limits.Name}", WorkerLimitKeys, mistakes) : null;
        return new LoadLimits
        {
            WorkerRequests = worker?.Number("maxRequests", 1, MaxLoad) ?? 0,
            WorkerConnections = worker?.Number("maxConnections", 1, MaxLoad) ?? 0,
            Connections = limits.Number("maxConnections", 1, MaxLoad) ?? 0,
            Requests = Math.Max(0, requests),
            IsAdaptive = requests < 0,
        };
    }

    public QueueSettings ReadQueue(Section pool)
    {
        if (Open(pool, "queue", QueueKeys) is not { } queue)
        {
            return QueueSettings.Default;
        }

        var header = queue.Text("priorityHeader", "the name of a header");
        if (header is not null && !KeyText.TryParse($"header:{header.Text}", out _, out _, out var problem))
        {
            mistakes.Error(header, $"priorityHeader: {problem}");
        }

        return new QueueSettings
        {
            Length = queue.Number("length", 0, MaxLoad) ?? QueueSettings.Default.Length,
            PriorityHeader = header?.Text,
            Priority = queue.Number("priority", 0, 7) ?? QueueSettings.Default.Priority,
        };
    }

    public IReadOnlyList<RateLimitSettings> ReadRateLimits(Section section)
    {
        var limits = new List<RateLimitSettings>();
        foreach (var node in section.List("rateLimits", "limits like { key: client-address, rate: 100/s, burst: 200 }", MaxRateLimits))
        {
            var number = limits.Count + 1;
            if (Section.Open(node, $"rate limit {number} of {section.Name}", RateKeys, mistakes) is not { } limit)
            {
                continue;
            }

            var (source, keyName) = ReadKey(limit);
            var perSecond = ReadRate(limit);
            var name = limit.Text("name", "a name") is { } given && IsName(given) ? given.Text : $"limit-{number.ToString(CultureInfo.InvariantCulture)}";
            limits.Add(new RateLimitSettings(
                name, source, keyName, perSecond, limit.Number("burst", 1, MaxLoad) ?? Math.Max(1, (int)Math.Ceiling(perSecond))));
        }

        return limits;
    }

    private bool IsName(ScalarNode name)
    {
        if (PoolReader.IsName(name.Text))
        {
            return true;
        }

        mistakes.Error(name, $"name: '{name.Text}' is not a name; letters, digits, '-', '_' and '.' are allowed");
        return false;
    }

    private (KeySource Source, string Name) ReadKey(Section limit)
    {
        const string Expected = "everyone, route, " + KeyText.Expected;
        if (limit.Find("key") is null)
        {
            mistakes.Error(limit.Node, $"'key' is missing in {limit.Name}; write {Expected}");
            return default;
        }

        if (limit.Text("key", Expected) is not { } key || key.Text is "everyone" or "route")
        {
            return (limit.Find("key") is ScalarNode { Text: "route" } ? KeySource.Route : KeySource.Everyone, "");
        }

        if (!KeyText.TryParse(key.Text, out var source, out var name, out var problem))
        {
            mistakes.Error(key, $"key: {problem}");
        }

        return (source, name);
    }

    /// <summary>Requests per second of a text like <c>100/s</c>, <c>30/m</c> or <c>5/h</c>.</summary>
    private double ReadRate(Section limit)
    {
        const string Expected = "a rate like 100/s, 30/m or 5/h";
        if (limit.Find("rate") is null)
        {
            mistakes.Error(limit.Node, $"'rate' is missing in {limit.Name}; write {Expected}");
            return 1;
        }

        if (limit.Text("rate", Expected) is not { } text)
        {
            return 1;
        }

        var slash = text.Text.IndexOf('/', StringComparison.Ordinal);
        var seconds = slash < 0 ? 0 : text.Text[(slash + 1)..] switch { "s" => 1, "m" => 60, "h" => 3600, _ => 0 };
        if (seconds == 0)
        {
            mistakes.Error(text, $"rate: '{text.Text}' is not a rate; write {Expected}");
            return 1;
        }

        if (!DecimalNumber.TryParse(text.Text[..slash], 1, MaxPerSecond * seconds, out var count, out var problem))
        {
            mistakes.Error(text, $"rate: {problem}, and behind it /s, /m or /h");
            return 1;
        }

        return count / seconds;
    }

    private FallbackSettings? ReadFallbackFile(Section fallback, int status, string? type)
    {
        if (fallback.Text("file", "the path of a file") is not { } file)
        {
            return null;
        }

        var path = Path.Combine(baseDirectory, file.Text);
        try
        {
            var length = new FileInfo(path).Length;
            if (length > MaxFallbackBytes)
            {
                mistakes.Error(file, $"file: {file.Text} has {ByteSize.Text(length)}; at most {ByteSize.Text(MaxFallbackBytes)} are answered");
                return null;
            }

            var guessed = Path.GetExtension(path) switch
            {
                ".html" or ".htm" => "text/html; charset=utf-8",
                ".json" => "application/json",
                _ => "text/plain; charset=utf-8",
            };
            return new FallbackSettings(null, ErrorResponse.Static(status, type ?? guessed, File.ReadAllBytes(path)));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            mistakes.Error(file, $"file: {path} cannot be read: {failure.Message}");
            return null;
        }
    }

    private RetryOn? ReadRetryOn(Section retries)
    {
        if (retries.Find("on") is null)
        {
            return null;
        }

        var on = RetryOn.None;
        foreach (var node in retries.List("on", $"failures ({string.Join(", ", RetryWords.Select(w => w.Word))})", RetryWords.Length))
        {
            if (retries.TextOf(node, "on", "a failure") is not { } text)
            {
                continue;
            }

            var known = Array.FindIndex(RetryWords, w => w.Word == text.Text);
            if (known < 0)
            {
                var hint = NearestWord.Of(text.Text, RetryWords.Select(w => w.Word)) is { } nearest ? $"; did you mean '{nearest}'?" : "";
                mistakes.Error(text, $"on: expected {string.Join(", ", RetryWords.Select(w => w.Word))}, found '{text.Text}'{hint}");
                continue;
            }

            on |= RetryWords[known].Value;
        }

        return on;
    }

    private Section? Open(Section pool, string key, string[] keys) =>
        pool.Find(key) is { } node ? Section.Open(node, $"{key} of {pool.Name}", keys, mistakes) : null;
}
