using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

public enum StrategyKind
{
    TwoChoices,
    RoundRobin,
}

/// <summary>A worker that FastLB only reaches (<c>workers:</c> in the configuration).</summary>
public sealed record ReachedWorker(Endpoint Endpoint, int Weight = 1);

/// <summary>Sticky sessions by cookie (<c>sticky:</c> in the configuration).</summary>
/// <param name="CookieName">A cookie name of RFC 6265 4.1.1, at most 64 bytes.</param>
/// <param name="Secret">What signs the cookie; null: made at start, so cookies do not outlive FastLB.</param>
/// <param name="Strip">Whether the cookie is kept from the workers.</param>
public sealed record StickySettings(string CookieName, string? Secret, bool Strip = true);

/// <summary>A named set of workers as the data path knows it. How its processes are run is told to the fleet. Immutable.</summary>
public sealed record PoolSettings
{
    public required string Name { get; init; }

    public StrategyKind Strategy { get; init; } = StrategyKind.TwoChoices;

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

    /// <summary>Empty for a pool whose workers FastLB runs.</summary>
    public IReadOnlyList<ReachedWorker> Reached { get; init; } = [];
}
