using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace FastLB.Core.Http;

/// <summary>Compares names and values in a head that the parser accepted, without regard to case.</summary>
internal static class HeadText
{
    /// <summary>
    /// Whether <paramref name="text"/> is <paramref name="lower"/>, which consists of lower-case letters, digits and punctuation from 0x21
    /// to 0x3F. Eight bytes at a time with bit 0x20 set: that maps upper case to lower case, and the only other bytes it maps
    /// onto such a literal are control bytes, which an accepted head does not have.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower)
    {
        if (text.Length != lower.Length)
        {
            return false;
        }

        if (lower.Length >= sizeof(ulong))
        {
            for (var i = 0; i < lower.Length - sizeof(ulong); i += sizeof(ulong))
            {
                if (Lower8(text[i..]) != BinaryPrimitives.ReadUInt64LittleEndian(lower[i..]))
                {
                    return false;
                }
            }

            return Lower8(text[^sizeof(ulong)..]) == BinaryPrimitives.ReadUInt64LittleEndian(lower[^sizeof(ulong)..]);
        }

        if (lower.Length >= sizeof(uint))
        {
            return Lower4(text) == BinaryPrimitives.ReadUInt32LittleEndian(lower)
                && Lower4(text[^sizeof(uint)..]) == BinaryPrimitives.ReadUInt32LittleEndian(lower[^sizeof(uint)..]);
        }

        for (var i = 0; i < lower.Length; i++)
        {
            if ((text[i] | 0x20) != lower[i])
            {
                return false;
            }
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool StartsWith(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower) =>
        text.Length >= lower.Length && Is(text[..lower.Length], lower);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Lower8(ReadOnlySpan<byte> text) =>
        BinaryPrimitives.ReadUInt64LittleEndian(text) | 0x2020_2020_2020_2020;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Lower4(ReadOnlySpan<byte> text) =>
        BinaryPrimitives.ReadUInt32LittleEndian(text) | 0x2020_2020;
}
