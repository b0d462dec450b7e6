using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace FastLB.Core.Http;

/// <summary>
/// Finds where a run of allowed bytes ends. The three alphabets of a head are each tested 16 or 32 bytes at a time; the last
/// bytes are read by a vector that overlaps what was tested already, so nothing outside the span is ever touched and a
/// short last line costs no more than a long one.
/// </summary>
internal static class ByteScan
{
    /// <summary>The first byte from <paramref name="start"/> on that is no token byte (RFC 9110 5.6.2), or the length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int TokenEnd(ReadOnlySpan<byte> bytes, int start) => End16<TokenAlphabet>(bytes, start);

    /// <summary>
    /// The first byte from <paramref name="start"/> on that a request target may not have, or the length. Allowed are 0x21 to 0x7E
    /// without '#': no target has a fragment, and servers differ on what stands behind one (HAProxy CVE-2023-45539).
    /// </summary>
    internal static int TargetEnd(ReadOnlySpan<byte> bytes, int start) => End32<TargetAlphabet>(bytes, start);

    /// <summary>The first byte from <paramref name="start"/> on that a field value may not have (RFC 9110 5.5), or the length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int ValueEnd(ReadOnlySpan<byte> bytes, int start) => End32<ValueAlphabet>(bytes, start);

    internal static bool IsToken(byte value) => TokenAlphabet.Has(value);

    internal static bool IsValue(byte value) => ValueAlphabet.Has(value);

    /// <summary>Sixteen bytes at a time: names are short, and a table look-up does not cross 16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int End16<TAlphabet>(ReadOnlySpan<byte> bytes, int start)
        where TAlphabet : struct, IAlphabet
    {
        if (!Vector128.IsHardwareAccelerated || bytes.Length < Vector128<byte>.Count)
        {
            return EndByByte<TAlphabet>(bytes, start);
        }

        while (start <= bytes.Length - Vector128<byte>.Count)
        {
            var foreign = TAlphabet.Foreign(Vector128.Create(bytes.Slice(start))).ExtractMostSignificantBits();
            if (foreign != 0)
            {
                return start + BitOperations.TrailingZeroCount(foreign);
            }

            start += Vector128<byte>.Count;
        }

        // The shift drops the bytes that were tested already; what it leaves is indexed from start again.
        var overlap = start - (bytes.Length - Vector128<byte>.Count);
        var last = TAlphabet.Foreign(Vector128.Create(bytes.Slice(start - overlap))).ExtractMostSignificantBits() >> overlap;
        return last != 0 ? start + BitOperations.TrailingZeroCount(last) : bytes.Length;
    }

    /// <summary>Thirty-two bytes at a time where the machine can.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int End32<TAlphabet>(ReadOnlySpan<byte> bytes, int start)
        where TAlphabet : struct, IAlphabet
    {
        if (!Vector256.IsHardwareAccelerated || bytes.Length < Vector256<byte>.Count)
        {
            return End16<TAlphabet>(bytes, start);
        }

        while (start <= bytes.Length - Vector256<byte>.Count)
        {
            var foreign = TAlphabet.Foreign(Vector256.Create(bytes.Slice(start))).ExtractMostSignificantBits();
            if (foreign != 0)
            {
                return start + BitOperations.TrailingZeroCount(foreign);
            }

            start += Vector256<byte>.Count;
        }

        // An overlap of all 32 bytes is a shift by 32, which C# takes as a shift by 0; as 64 bits it is right.
        var overlap = start - (bytes.Length - Vector256<byte>.Count);
        var last = (ulong)TAlphabet.Foreign(Vector256.Create(bytes.Slice(start - overlap))).ExtractMostSignificantBits() >> overlap;
        return last != 0 ? start + BitOperations.TrailingZeroCount(last) : bytes.Length;
    }

    private static int EndByByte<TAlphabet>(ReadOnlySpan<byte> bytes, int start)
        where TAlphabet : struct, IAlphabet
    {
        while (start < bytes.Length && TAlphabet.Has(bytes[start]))
        {
            start++;
        }

        return start;
    }

    /// <summary>A set of bytes, asked one by one or many at once. Implemented by structs, so every scan is compiled for its own set.</summary>
    private interface IAlphabet
    {
        static abstract bool Has(byte value);

        /// <summary>All bits set where a byte is not of the set.</summary>
        static abstract Vector128<byte> Foreign(Vector128<byte> bytes);

        /// <inheritdoc cref="Foreign(Vector128{byte})"/>
        static abstract Vector256<byte> Foreign(Vector256<byte> bytes);
    }

    /// <summary>
    /// Letters, digits and !#$%&amp;'*+-.^_`|~. Row n of <see cref="Rows"/> has one bit per high half for which a byte with the low half
    /// n is a token byte; bytes from 0x80 find no bit.
    /// </summary>
    private readonly struct TokenAlphabet : IAlphabet
    {
        private static Vector128<byte> Rows => Vector128.Create(
            (byte)0xE8, 0xFC, 0xF8, 0xFC, 0xFC, 0xFC, 0xFC, 0xFC, 0xF8, 0xF8, 0xF4, 0x54, 0xD0, 0x54, 0xF4, 0x70);

        private static Vector128<byte> BitOfHighHalf => Vector128.Create(
            (byte)1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0);

        public static bool Has(byte value) => (Rows[value & 0x0F] & BitOfHighHalf[value >> 4]) != 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Foreign(Vector128<byte> bytes)
        {
            var row = Vector128.ShuffleNative(Rows, bytes & Vector128.Create((byte)0x0F));
            var bit = Vector128.ShuffleNative(BitOfHighHalf, bytes >>> 4);
            return Vector128.Equals(row & bit, Vector128<byte>.Zero);
        }

        public static Vector256<byte> Foreign(Vector256<byte> bytes) =>
            Vector256.Create(Foreign(bytes.GetLower()), Foreign(bytes.GetUpper()));
    }

    private readonly struct TargetAlphabet : IAlphabet
    {
        public static bool Has(byte value) => value is > 0x20 and < 0x7F and not (byte)'#';

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Foreign(Vector128<byte> bytes)
        {
            var fromFirst = bytes - Vector128.Create((byte)0x21);
            var inRange = Vector128.Equals(Vector128.Min(fromFirst, Vector128.Create((byte)0x5D)), fromFirst);
            return ~inRange | Vector128.Equals(bytes, Vector128.Create((byte)'#'));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<byte> Foreign(Vector256<byte> bytes)
        {
            var fromFirst = bytes - Vector256.Create((byte)0x21);
            var inRange = Vector256.Equals(Vector256.Min(fromFirst, Vector256.Create((byte)0x5D)), fromFirst);
            return ~inRange | Vector256.Equals(bytes, Vector256.Create((byte)'#'));
        }
    }

    /// <summary>Blanks, visible bytes and 0x80 to 0xFF; no control byte but HTAB.</summary>
    private readonly struct ValueAlphabet : IAlphabet
    {
        public static bool Has(byte value) => value is >= 0x20 and not 0x7F or (byte)'\t';

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Foreign(Vector128<byte> bytes)
        {
            var control = Vector128.Equals(Vector128.Min(bytes, Vector128.Create((byte)0x1F)), bytes);
            var delete = Vector128.Equals(bytes, Vector128.Create((byte)0x7F));
            return Vector128.AndNot(control, Vector128.Equals(bytes, Vector128.Create((byte)'\t'))) | delete;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<byte> Foreign(Vector256<byte> bytes)
        {
            var control = Vector256.Equals(Vector256.Min(bytes, Vector256.Create((byte)0x1F)), bytes);
            var delete = Vector256.Equals(bytes, Vector256.Create((byte)0x7F));
            return Vector256.AndNot(control, Vector256.Equals(bytes, Vector256.Create((byte)'\t'))) | delete;
        }
    }
}
