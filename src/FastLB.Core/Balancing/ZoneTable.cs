using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>Which zone a client is in, by the longest of the networks that hold its address. Immutable, shared by all loops.</summary>
public sealed class ZoneTable
{
    public static ZoneTable Empty { get; } = new();

    /// <summary>The number of the client's zone, or -1.</summary>
    public int ZoneOf(in ClientAddress client) => -1;
}
