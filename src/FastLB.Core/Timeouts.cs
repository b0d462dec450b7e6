namespace FastLB.Core;

/// <summary>
/// Every wait has one of these limits, all in milliseconds. They come from the configuration: <c>timeouts</c> at the top,
/// which a listener or a pool may override.
/// </summary>
public sealed record Timeouts
{
    /// <summary>For the whole request head, from its first byte (or from accepting); absolute, whatever trickles in.</summary>
    public int HeadMs { get; init; } = 10_000;

    /// <summary>The longest silence while a request body is expected, or while a client takes nothing of its answer.</summary>
    public int BodyMs { get; init; } = 30_000;

    /// <summary>How long a client connection may stay idle between two requests.</summary>
    public int KeepAliveMs { get; init; } = 60_000;

    /// <summary>For a connection to a worker.</summary>
    public int ConnectMs { get; init; } = 1_000;

    /// <summary>Until the worker's response head, then the longest silence in its body.</summary>
    public int ResponseMs { get; init; } = 30_000;

    /// <summary>How long an upgraded or TCP connection may stay without a byte in either direction.</summary>
    public int TunnelMs { get; init; } = 3_600_000;

    /// <summary>How long an upgraded or TCP connection may last, whatever goes on in it; 0: any time.</summary>
    public int TunnelLifetimeMs { get; init; }

    /// <summary>How long a request waits for a worker that takes it.</summary>
    public int QueueMs { get; init; } = 5_000;

    /// <summary>From the wish to stop until what still runs is cut off.</summary>
    public int DrainMs { get; init; } = 30_000;

    public static Timeouts Default { get; } = new();
}
