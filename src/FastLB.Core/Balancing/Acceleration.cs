namespace FastLB.Core.Balancing;

/// <summary>How the bytes of a pool's TCP connections get from one side to the other (<c>tcp: { acceleration: ... }</c>).</summary>
public enum Acceleration
{
    /// <summary>The kernel moves large streams, small ones are copied.</summary>
    Splice,

    /// <summary>The kernel passes everything on by itself, where it can; otherwise as <see cref="Splice"/>.</summary>
    Sockmap,

    /// <summary>Everything goes through FastLB's buffers.</summary>
    Copy,
}
