namespace FastLB.Core.Proxy;

/// <summary>What of a request speaks for one worker or another. Found once per request, and the same for each of its attempts.</summary>
public readonly record struct Affinity()
{
    /// <summary>Of a request that may go anywhere.</summary>
    public static Affinity None { get; } = new();

    /// <summary>The slot that the sticky cookie names; -1 without one that we signed.</summary>
    public int Slot { get; init; } = -1;

    /// <summary>A hash of what the session is told by, where sessions go by an address or a header; 0 for no session.</summary>
    public ulong Session { get; init; }

    /// <summary>A hash of the strategy's key.</summary>
    public ulong Key { get; init; }

    /// <summary>The client's zone, or -1.</summary>
    public int Zone { get; init; } = -1;
}
