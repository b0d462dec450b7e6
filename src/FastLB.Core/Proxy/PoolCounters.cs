using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// What one loop counts of a pool. Only the loop writes, any thread may read. It outlives changes of the pool's settings: all parts that a pool has had on this loop
/// share it, and find through it the one of now, so that an old part, which a long connection may keep alive for hours, keeps no later one but that.
/// </summary>
public sealed class PoolCounters : OwnCacheLines
{
    private readonly long[] _outcomes = new long[Outcomes.Count];

    /// <summary>Of upgraded connections.</summary>
    public TunnelCounters Tunnels { get; } = new();

    /// <summary>The part that takes new requests.</summary>
    internal LoopPool? Current;

    /// <summary>Requests and TCP connections that were routed here.</summary>
    public long Requests;

    /// <summary>Requests that somebody else answered for this pool.</summary>
    public long Fallbacks;

    public long Of(Outcome outcome) => Volatile.Read(ref _outcomes[(int)outcome]);

    internal void Count(Outcome outcome) => _outcomes[(int)outcome]++;
}
