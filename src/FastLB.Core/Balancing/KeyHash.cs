using System.Buffers.Binary;

namespace FastLB.Core.Balancing;

/// <summary>
/// 64 well mixed bits of a key, by folding 128-bit products as wyhash does. The same on every machine and in every process unless a seed is given,
/// so that several FastLBs send a key to the same worker. Not for secrets: who sees enough of it can find keys that collide.
/// </summary>
public static class KeyHash
{
    private const ulong First = 0xA0761D6478BD642F;
    private const ulong Second = 0xE7037ED1A0B428DB;
    private const ulong Third = 0x8EBC6AF09C88C6E3;

    public static ulong Of(ReadOnlySpan<byte> key, ulong seed = 0)
    {
        var hash = Fold(seed ^ First, (ulong)key.Length ^ Second);
        while (key.Length > 16)
        {
            hash = Fold(BinaryPrimitives.ReadUInt64LittleEndian(key) ^ Second, BinaryPrimitives.ReadUInt64LittleEndian(key[8..]) ^ hash);
            key = key[16..];
        }

        Span<byte> last = stackalloc byte[16];
        last.Clear();
        key.CopyTo(last);
        hash = Fold(BinaryPrimitives.ReadUInt64LittleEndian(last) ^ Second, BinaryPrimitives.ReadUInt64LittleEndian(last[8..]) ^ hash);
        return Fold(hash ^ Third, hash ^ First);
    }

    /// <summary>Of a number, or of two.</summary>
    public static ulong Of(ulong high, ulong low, ulong seed = 0) => Fold(Fold(high ^ First, low ^ seed ^ Second) ^ Third, low ^ First);

    private static ulong Fold(ulong a, ulong b)
    {
        var high = Math.BigMul(a, b, out var low);
        return high ^ low;
    }
}
