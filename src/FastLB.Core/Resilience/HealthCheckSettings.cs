namespace FastLB.Core.Resilience;

/// <summary>How a pool's workers are asked whether they are well (<c>health:</c> in the configuration). Immutable.</summary>
public sealed record HealthCheckSettings
{
    /// <summary>What is asked for with GET; null: it is enough that a connection is accepted.</summary>
    public string? Path { get; init; }

    /// <summary>The Host header of that request.</summary>
    public string Host { get; init; } = "localhost";

    /// <summary>The least and the greatest status that is well.</summary>
    public int MinStatus { get; init; } = 200;

    public int MaxStatus { get; init; } = 399;

    /// <summary>What the first 64 KB of the answer's body have to contain; null: anything.</summary>
    public string? Body { get; init; }

    public int IntervalMs { get; init; } = 2_000;

    /// <summary>From the attempt to connect to the end of the answer that is looked at.</summary>
    public int TimeoutMs { get; init; } = 1_000;

    /// <summary>How many checks in a row have to succeed before an unfit worker is fit.</summary>
    public int Rise { get; init; } = 2;

    /// <summary>How many checks in a row have to fail before a fit worker is unfit.</summary>
    public int Fall { get; init; } = 3;
}
