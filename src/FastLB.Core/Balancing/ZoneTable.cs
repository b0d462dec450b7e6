using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>Which zone a client is in, by the longest of the networks that hold its address. Immutable, shared by all loops.</summary>
public sealed class ZoneTable
{
    public static ZoneTable Empty { get; } = new();

    public IReadOnlyList<string> Names { get; init; } = [];

    public static ZoneTable Create(IReadOnlyList<(string Zone, IReadOnlyList<System.Net.IPNetwork> Networks)> zones) => new() { Names = [.. zones.Select(z => z.Zone)] };

    /// <summary>The number of a zone, or -1.</summary>
    public int IndexOf(string name) => Names.ToList().IndexOf(name);

    /// <summary>The number of the client's zone, or -1.</summary>
    public int ZoneOf(in ClientAddress client) => Names.Count == 0 || client.IsNone ? -1 : -1;
}
