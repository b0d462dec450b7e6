namespace FastLB.Core.Balancing;

/// <summary>How the bytes of a pool's TCP connections get from one side to the other (<c>tcp: { acceleration: ... }</c>).</summary>
public enum Acceleration
{
    /// <summary>
    /// As <see cref="Splice"/>, everywhere: sockmap acknowledges what a slow target has not taken yet and holds it in memory that nobody is
    /// charged for, so it has to be asked for.
    /// </summary>
    Auto,

    /// <summary>The kernel passes everything on by itself, where it can; otherwise as <see cref="Splice"/>.</summary>
    Sockmap,

    /// <summary>The kernel moves large streams, small ones are copied.</summary>
    Splice,

    /// <summary>Everything goes through FastLB's buffers.</summary>
    Copy,
}
