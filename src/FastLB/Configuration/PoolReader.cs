using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Proxy;
using FastLB.Fleet;

namespace FastLB.Configuration;

/// <summary>What was found of one pool; usable only when no mistake was noted.</summary>
/// <param name="Name">Where the pool is named.</param>
/// <param name="Sticky">Where sticky sessions are switched on, or null.</param>
/// <param name="Workers">The addresses that it reaches, and where they stand.</param>
internal sealed record PoolDraft(
    ScalarNode Name,
    PoolSettings Settings,
    RunSettings? Run,
    ScalarNode? Sticky,
    IReadOnlyList<PlacedEndpoint> Workers)
{
    /// <summary>Where the pool names the one that serves instead of it, or null.</summary>
    public ScalarNode? FallbackPool { get; init; }
}

/// <summary>Reads one entry of <c>pools</c>.</summary>
internal sealed class PoolReader(Mistakes mistakes, string baseDirectory, HostResolver resolveHost)
{
    public const int MaxNameLength = 64;
    public const int MaxWorkers = 4096;
    public const int MaxWeight = 1000;
    public const int MinSecretLength = 16;
    public const string DefaultCookie = "FASTLB";

    private static readonly string[] Keys = ["strategy", "slowStart", "sticky", "pipelineDepth", "proxyProtocol", "tcp", "timeouts", "health", "outliers", "panic", "breaker", "poolBreaker", "retries", "fallback", "limits", "queue", "rateLimits", "run", "workers"];
    private static readonly string[] TcpKeys = ["acceleration"];
    private static readonly string[] StickyKeys = ["by", "cookie", "secret", "strip"];
    private static readonly string[] WorkerKeys = ["address", "weight", "zone"];

    /// <summary>Names stand in logs, metric labels, environment variables and socket paths, so they are plain words.</summary>
    public static bool IsName(string text) =>
        text.Length is > 0 and <= MaxNameLength && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') && text[0] != '.';

    public PoolDraft Read(ScalarNode name, YamlNode node, Timeouts timeouts, ZoneTable zones)
    {
        if (!IsName(name.Text))
        {
            mistakes.Error(
                name,
                $"'{name.Text}' is not a pool name; letters, digits, '-', '_' and '.' are allowed, at most {MaxNameLength}");
        }

        if (Section.Open(node, $"pool '{name.Text}'", Keys, mistakes) is not { } pool)
        {
            return new PoolDraft(name, new PoolSettings { Name = name.Text }, null, null, []);
        }

        if (pool.FindKey("run") is { } run && pool.FindKey("workers") is { } workers)
        {
            mistakes.Error(
                run.Line > workers.Line ? run : workers,
                $"{pool.Name} has both 'run' and 'workers'; FastLB runs a pool's workers or only reaches them, so make two pools");
        }
        else if (pool.Find("run") is null && pool.Find("workers") is null)
        {
            mistakes.Error(
                name,
                $"{pool.Name} has no workers; write 'run' (FastLB runs them) or 'workers' (FastLB only reaches them)");
        }

        var (reached, places) = ReadWorkers(pool, zones);
        var protection = new ProtectionReader(mistakes, baseDirectory);
        var (fallback, fallbackPool) = protection.ReadFallback(pool);
        var settings = new PoolSettings
        {
            Name = name.Text,
            Strategy = StrategyReader.Read(pool, mistakes),
            Zones = zones,
            SlowStartMs = pool.DurationMs("slowStart") ?? 0,
            Sticky = ReadSticky(pool),
            PipelineDepth = pool.Number("pipelineDepth", 1, PoolSettings.MaxPipelineDepth) ?? new PoolSettings { Name = name.Text }.PipelineDepth,
            ProxyProtocol = pool.Choice("proxyProtocol", ("off", ProxyVersion.None), ("v1", ProxyVersion.V1), ("v2", ProxyVersion.V2)) ?? ProxyVersion.None,
            Acceleration = ReadAcceleration(pool),
            Timeouts = OverridesReader.ReadTimeouts(
                pool,
                timeouts,
                OverridesReader.OfPool,
                "in a listener's timeouts",
                mistakes),
            Health = HealthReader.Read(pool, mistakes),
            PanicShare = pool.Share("panic") ?? 0.5,
            Outliers = BreakerReader.ReadOutliers(pool, mistakes),
            Breaker = BreakerReader.ReadBreaker(pool, "breaker", mistakes),
            PoolBreaker = BreakerReader.ReadBreaker(pool, "poolBreaker", mistakes),
            Retries = protection.ReadRetries(pool),
            Fallback = fallback,
            Limits = protection.ReadLimits(pool),
            Queue = protection.ReadQueue(pool),
            RateLimits = protection.ReadRateLimits(pool),
            Reached = reached,
        };
        var runSettings = pool.Find("run") is { } runNode
            ? new RunReader(mistakes, baseDirectory).Read(runNode, settings, pool, timeouts.DrainMs)
            : null;
        return new PoolDraft(
            name,
            settings,
            runSettings,
            settings.Sticky is null ? null : pool.FindKey("sticky"),
            places)
        {
            FallbackPool = fallbackPool,
        };
    }

    private Acceleration ReadAcceleration(Section pool) =>
        pool.Find("tcp") is { } node && Section.Open(node, $"tcp of {pool.Name}", TcpKeys, mistakes) is { } tcp
            ? tcp.Choice(
                "acceleration",
                ("auto", Acceleration.Auto),
                ("sockmap", Acceleration.Sockmap),
                ("splice", Acceleration.Splice),
                ("copy", Acceleration.Copy)) ?? Acceleration.Auto
            : Acceleration.Auto;

    private StickySettings? ReadSticky(Section pool)
    {
        switch (pool.Find("sticky"))
        {
            case null or ScalarNode { Text: "false" }:
                return null;
            case ScalarNode { Text: "true" }:
                return new StickySettings(DefaultCookie, null);
            case ScalarNode other:
                mistakes.Error(other, $"sticky: expected true or keys (by, cookie, secret, strip), found {other.Kind}");
                return null;
            case var node:
                return Section.Open(node, $"sticky of {pool.Name}", StickyKeys, mistakes) is { } sticky ? ReadStickyKeys(sticky) : null;
        }
    }

    private string? ReadZone(Section worker, ZoneTable zones)
    {
        if (worker.Text("zone", "the name of a zone") is not { } zone)
        {
            return null;
        }

        if (zones.IndexOf(zone.Text) < 0)
        {
            var hint = NearestWord.Of(zone.Text, zones.Names) is { } nearest ? $"did you mean '{nearest}'?"
                : zones.Names.Count == 0 ? "name it, with its networks, under 'zones' at the top of the file"
                : $"there are {string.Join(", ", zones.Names)}";
            mistakes.Error(zone, $"there is no zone '{zone.Text}'; {hint}");
        }

        return zone.Text;
    }

    private StickySettings ReadStickyKeys(Section sticky)
    {
        if (sticky.Text("by", "cookie, client-address or header:NAME") is { } by && by.Text != "cookie")
        {
            return ReadStickyBy(sticky, by);
        }

        var cookie = sticky.Text("cookie", "a cookie name");
        if (cookie is not null && CookieName.ProblemOf(cookie.Text) is { } problem)
        {
            mistakes.Error(cookie, $"cookie: {problem}");
        }

        var secret = sticky.Text("secret", $"at least {MinSecretLength} characters");
        if (secret is { Text.Length: < MinSecretLength })
        {
            // The secret itself is not repeated: error output ends up in build logs.
            mistakes.Error(
                secret,
                $"secret: it has {secret.Text.Length} characters; at least {MinSecretLength} are needed ('openssl rand -hex 32' makes a good one)");
        }

        return new StickySettings(cookie?.Text ?? DefaultCookie, secret?.Text, sticky.Flag("strip") ?? true);
    }

    private StickySettings ReadStickyBy(Section sticky, ScalarNode by)
    {
        foreach (var key in (string[])["cookie", "secret", "strip"])
        {
            if (sticky.FindKey(key) is { } pointless)
            {
                mistakes.Error(pointless, $"'{key}' has no meaning in {sticky.Name}, whose sessions go by {by.Text}");
            }
        }

        if (!KeyText.TryParse(by.Text, out var source, out var name, out var problem))
        {
            mistakes.Error(by, $"by: {problem}");
        }
        else if (source is not (KeySource.ClientAddress or KeySource.Header or KeySource.Cookie))
        {
            mistakes.Error(by, $"by: sessions go by cookie, client-address, header:NAME or an application's own cookie:NAME, not by {by.Text}");
        }

        return new StickySettings("", null) { Key = source, KeyName = name };
    }

    private (List<ReachedWorker> Reached, List<PlacedEndpoint> Places) ReadWorkers(Section pool, ZoneTable zones)
    {
        var reached = new List<ReachedWorker>();
        var places = new List<PlacedEndpoint>();
        foreach (var node in pool.List("workers", "addresses like 127.0.0.1:9001 or { address: 127.0.0.1:9001, weight: 2 }", MaxWorkers))
        {
            ScalarNode? address;
            var weight = 1;
            string? zone = null;
            if (node is MappingNode)
            {
                if (Section.Open(node, $"a worker of {pool.Name}", WorkerKeys, mistakes) is not { } worker)
                {
                    continue;
                }

                if (worker.Find("address") is null)
                {
                    mistakes.Error(node, $"'address' is missing in {worker.Name}");
                }

                weight = worker.Number("weight", 1, MaxWeight) ?? 1;
                zone = ReadZone(worker, zones);
                address = worker.Text("address", "an address like 127.0.0.1:9001");
            }
            else
            {
                address = pool.TextOf(node, "workers", "an address like 127.0.0.1:9001");
            }

            if (address is null)
            {
                continue;
            }

            if (!Address.TryParseWorker(address.Text, resolveHost, out var endpoint, out var problem, out var doubt))
            {
                mistakes.Error(address, $"workers: {problem}");
                continue;
            }

            if (doubt is not null)
            {
                mistakes.Warning(address, $"workers: {doubt}");
            }

            if (places.Find(p => p.Endpoint.Equals(endpoint)) is { } first)
            {
                mistakes.Error(
                    address,
                    $"workers: {endpoint} stands in line {first.At.Line} already; to give it more requests write {{ address: {address.Text}, weight: 2 }}");
            }

            reached.Add(new ReachedWorker(endpoint, weight, zone));
            places.Add(new PlacedEndpoint(endpoint, address));
        }

        return (reached, places);
    }
}
