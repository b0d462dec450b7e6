using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>
/// The traceparent header (W3C Trace Context, 3.2): version, trace-id, parent-id and flags, in lower-case hexadecimal. FastLB starts traces; it is no
/// part of them, so it leaves a valid one as it is.
/// </summary>
internal static class TraceParent
{
    /// <summary>Bytes of version 00.</summary>
    public const int Length = 55;

    private const int TraceIdStart = 3;
    private const int ParentIdStart = 36;
    private const int FlagsStart = 53;

    /// <summary>Whether it may be passed on. Of a version to come the first part is what counts (4.3 there).</summary>
    public static bool IsValid(ReadOnlySpan<byte> text)
    {
        if (text.Length < Length || text[2] != '-' || text[ParentIdStart - 1] != '-' || text[FlagsStart - 1] != '-')
        {
            return false;
        }

        var version = text[..2];
        var traceId = text[TraceIdStart..(ParentIdStart - 1)];
        var parentId = text[ParentIdStart..(FlagsStart - 1)];
        return IsHex(version) && IsHex(traceId) && IsHex(parentId) && IsHex(text[FlagsStart..Length])
            && !version.SequenceEqual("ff"u8) && traceId.ContainsAnyExcept((byte)'0') && parentId.ContainsAnyExcept((byte)'0')
            && (text.Length == Length || (!version.SequenceEqual("00"u8) && text[Length] == '-'));
    }

    /// <summary>A new trace; <see cref="Length"/> bytes.</summary>
    public static void Write(RandomSource random, bool isSampled, Span<byte> destination)
    {
        "00-"u8.CopyTo(destination);

        // An id of zeros says that there is none.
        TokenText.WriteHex(random.NextUInt64() | 1, destination[TraceIdStart..]);
        TokenText.WriteHex(random.NextUInt64(), destination[(TraceIdStart + 16)..]);
        destination[ParentIdStart - 1] = (byte)'-';
        TokenText.WriteHex(random.NextUInt64() | 1, destination[ParentIdStart..]);
        (isSampled ? "-01"u8 : "-00"u8).CopyTo(destination[(FlagsStart - 1)..]);
    }

    private static bool IsHex(ReadOnlySpan<byte> text) => !text.ContainsAnyExcept(TokenText.LowerHex);
}
