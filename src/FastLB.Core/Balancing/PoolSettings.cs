using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Balancing;

/// <summary>A worker that FastLB only reaches (<c>workers:</c> in the configuration).</summary>
/// <param name="Zone">The name of the zone that it stands in, or null.</param>
public sealed record ReachedWorker(Endpoint Endpoint, int Weight = 1, string? Zone = null);

/// <summary>Sticky sessions (<c>sticky:</c> in the configuration): by a cookie of ours, or by something that the client brings along.</summary>
/// <param name="CookieName">A cookie name of RFC 6265 4.1.1, at most 64 bytes.</param>
/// <param name="Secret">What signs the cookie; null: made at start, so cookies do not outlive FastLB.</param>
/// <param name="Strip">Whether the cookie is kept from the workers.</param>
public sealed record StickySettings(string CookieName, string? Secret, bool Strip = true)
{
    /// <summary>What sessions are told by instead of our cookie: an address or a header, whose hash names a worker. Null: by the cookie.</summary>
    public KeySource? Key { get; init; }

    /// <summary>The header's name.</summary>
    public Utf8Name KeyName { get; init; }

    /// <summary>Whether a session stays at the worker where it began, because our cookie names that one.</summary>
    public bool IsByOurCookie => Key is null;

    /// <summary>Whether sessions are found in the pool's Maglev table.</summary>
    public bool UsesTable => Key is not null;
}

/// <summary>A named set of workers as the data path knows it. How its processes are run is told to the fleet. Immutable, and equal to what says the same.</summary>
public sealed record PoolSettings
{
    public required string Name { get; init; }

    public StrategyPlan Strategy { get; init; } = StrategyPlan.Default;

    public StickySettings? Sticky { get; init; }

    public Timeouts Timeouts { get; init; } = Timeouts.Default;

    /// <summary>
    /// How many requests of a client that pipelines are sent on one connection to a worker before the first of them is answered, from 1. 1 is for
    /// workers that cannot cope with that.
    /// </summary>
    public int PipelineDepth { get; init; } = 16;

    /// <summary>The most that <see cref="PipelineDepth"/> may be.</summary>
    public const int MaxPipelineDepth = 64;

    /// <summary>For the pool's TCP connections.</summary>
    public Acceleration Acceleration { get; init; }

    /// <summary>The header that goes before everything else on a connection to a worker. An HTTP connection with one serves a single request.</summary>
    public ProxyVersion ProxyProtocol { get; init; }

    /// <summary>Where clients and workers stand, for the strategy <c>zone</c>.</summary>
    public ZoneTable Zones { get; init; } = ZoneTable.Empty;

    /// <summary>How long a worker's share grows after it became ready, in milliseconds; 0: it has its whole share at once.</summary>
    public int SlowStartMs { get; init; }

    /// <summary>The share of fit workers, from 0 to 1, under which the unfit ones are used as well.</summary>
    public double PanicShare { get; init; } = 0.5;

    /// <summary>For each worker by itself; null: none.</summary>
    public BreakerPlan? Breaker { get; init; }

    /// <summary>For the pool as a whole; null: none.</summary>
    public BreakerPlan? PoolBreaker { get; init; }

    /// <summary>Who is ejected for being worse than the others; null: nobody.</summary>
    public OutlierSettings? Outliers { get; init; }

    public RetrySettings Retries { get; init; } = new();

    /// <summary>Who answers when the pool cannot; null: an error.</summary>
    public FallbackSettings? Fallback { get; init; }

    public LoadLimits Limits { get; init; } = LoadLimits.None;

    public QueueSettings Queue { get; init; } = QueueSettings.Default;

    public IReadOnlyList<RateLimitSettings> RateLimits { get; init => field = ValueList.Of(value); } = ValueList.Of<RateLimitSettings>([]);

    /// <summary>How workers are asked whether they are well; null: they are not asked.</summary>
    public HealthCheckSettings? Health { get; init; }

    /// <summary>Empty for a pool whose workers FastLB runs.</summary>
    public IReadOnlyList<ReachedWorker> Reached { get; init => field = ValueList.Of(value); } = ValueList.Of<ReachedWorker>([]);
}
