namespace FastLB.Core.Http;

/// <summary>
/// Reads header lines up to the blank line, the same for requests and responses (RFC 9112 5). Strictly from left to right: the
/// first byte that breaks a rule decides, so the answer never depends on how the bytes were cut into reads.
/// </summary>
internal static class HeaderSection
{
    /// <summary>Reads on from <paramref name="position"/>, where the start line ended.</summary>
    internal static ParseStatus Parse(
        ReadOnlySpan<byte> bytes, int position, int maxHeaders, MessageHead head, out Refusal refusal)
    {
        head.HeadersStart = position;
        var room = head.Room[..maxHeaders];
        var firstOf = head.FirstOf;
        var count = 0;
        var present = 0u;
        var repeated = 0u;
        while (position < bytes.Length)
        {
            var nameStart = position;
            var nameEnd = ByteScan.TokenEnd(bytes, nameStart);
            if (nameEnd == bytes.Length)
            {
                break;
            }

            if (bytes[nameEnd] != ':' || nameEnd == nameStart)
            {
                if (IsBlankLine(bytes, nameStart))
                {
                    head.HeaderCount = count;
                    head.Present = present;
                    head.Repeated = repeated;
                    head.TrustsForwarding = false;
                    head.Length = nameStart + 2;
                    refusal = Refusal.None;
                    return ParseStatus.Done;
                }

                return RefuseName(bytes, nameStart, nameEnd, out refusal);
            }

            var name = bytes[nameStart..nameEnd];
            var id = HeaderNames.Classify(name);
            if (id == HeaderId.Other && HeaderNames.ImitatesFraming(name))
            {
                refusal = Refusal.HeaderNameMalformed;
                return ParseStatus.Invalid;
            }

            if ((uint)count >= (uint)room.Length)
            {
                refusal = Refusal.TooManyHeaders;
                return ParseStatus.Invalid;
            }

            var valueStart = nameEnd + 1;
            var valueEnd = ByteScan.ValueEnd(bytes, valueStart);
            if (valueEnd >= bytes.Length - 1 || bytes[valueEnd] != '\r' || bytes[valueEnd + 1] != '\n')
            {
                if (valueEnd == bytes.Length)
                {
                    break;
                }

                return StrayByte.Refuse(bytes, valueEnd, Refusal.ControlByteInValue, out refusal);
            }

            position = valueEnd + 2;
            while (valueStart < valueEnd && IsBlank(bytes[valueStart]))
            {
                valueStart++;
            }

            while (valueEnd > valueStart && IsBlank(bytes[valueEnd - 1]))
            {
                valueEnd--;
            }

            var bit = 1u << (int)id;
            if ((present & bit) == 0)
            {
                firstOf[(int)id] = (byte)count;
            }

            repeated |= present & bit;
            present |= bit;
            room[count++] = new HeaderLine(
                (ushort)nameStart,
                (ushort)(nameEnd - nameStart),
                (ushort)valueStart,
                (ushort)(valueEnd - valueStart),
                (ushort)position,
                id);
        }

        refusal = Refusal.None;
        return ParseStatus.Partial;
    }

    /// <summary>SP or HTAB (RFC 9110 5.6.3).</summary>
    internal static bool IsBlank(byte value) => value is (byte)' ' or (byte)'\t';

    private static bool IsBlankLine(ReadOnlySpan<byte> bytes, int position) =>
        position + 1 < bytes.Length && bytes[position] == '\r' && bytes[position + 1] == '\n';

    /// <summary>Why a line whose name ends at <paramref name="nameEnd"/> without a colon is refused.</summary>
    private static ParseStatus RefuseName(ReadOnlySpan<byte> bytes, int nameStart, int nameEnd, out Refusal refusal)
    {
        var otherwise = !IsBlank(bytes[nameEnd]) ? Refusal.HeaderNameMalformed
            : nameEnd == nameStart ? Refusal.LineFolding
            : Refusal.SpaceBeforeColon;
        return StrayByte.Refuse(bytes, nameEnd, otherwise, out refusal);
    }
}
