using System.Runtime.InteropServices;

namespace FastLB.Core;

/// <summary>
/// What a loop writes for every request derives from this: 128 bytes before the object's own fields, which the runtime lays out behind
/// those of its base class. Objects of two loops may be neighbours on the heap, and without the distance they would share a cache line
/// that both cores write, at the price of a transfer between the cores per write. 128, because processors fetch lines in pairs.
/// <para>
/// Objects of one connection do without, for they are many: each loop's thread allocates its own from memory of its own, and only
/// where two threads' memory meets (every 8 KB at most) can two of them be neighbours.
/// </para>
/// </summary>
public abstract class OwnCacheLines
{
    /// <summary>The distance in bytes.</summary>
    public const int Bytes = 128;

    // Trimming removes fields that no code mentions, so this one is assigned.
    private protected OwnCacheLines() => Distance = default;

    private Padding Distance { get; }

    [StructLayout(LayoutKind.Sequential, Size = Bytes)]
    private readonly struct Padding;
}
