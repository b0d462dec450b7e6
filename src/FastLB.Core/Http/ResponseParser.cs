using System.Buffers.Binary;
using FastLB.Core.Loop;

namespace FastLB.Core.Http;

/// <summary>
/// Reads the head of a worker's response: the status line (RFC 9112 4) and the header lines. As strict as for requests,
/// because a worker that is tricked into a second status line would poison the next client's answer.
/// </summary>
public static class ResponseParser
{
    /// <summary>"HTTP/1.1 200", the shortest status line without its line end.</summary>
    private const int StatusEnd = 12;

    /// <summary>The same contract as <see cref="RequestParser.Parse"/>. Every refusal of a response means 502.</summary>
    public static ParseStatus Parse(
        ReadOnlySpan<byte> bytes, int seen, HttpLimits limits, MessageHead head, out Refusal refusal)
    {
        Invariant.That((uint)seen <= (uint)bytes.Length, "bytes that were seen are still there");
        Invariant.That(limits.HeadBytes <= MessageHead.MaxBytes, "a head fits 16-bit offsets");
        Invariant.That(limits.HeaderCount <= MessageHead.MaxHeaders, "a head has room for the allowed header lines");
        if (seen > 0 && bytes.Length < limits.HeadBytes && !bytes[seen..].Contains((byte)'\n'))
        {
            refusal = Refusal.None;
            return ParseStatus.Partial;
        }

        var window = bytes.Length > limits.HeadBytes ? bytes[..limits.HeadBytes] : bytes;
        var status = ParseStatusLine(window, head, out var headersStart, out refusal);
        if (status == ParseStatus.Done)
        {
            status = HeaderSection.Parse(window, headersStart, limits.HeaderCount, head, out refusal);
        }

        if (status == ParseStatus.Partial && bytes.Length >= limits.HeadBytes)
        {
            refusal = Refusal.HeadTooLarge;
            return ParseStatus.Invalid;
        }

        return status;
    }

    private static ParseStatus ParseStatusLine(
        ReadOnlySpan<byte> bytes, MessageHead head, out int headersStart, out Refusal refusal)
    {
        headersStart = 0;
        if (!StartsUsual(bytes) && CheckUnusualStart(bytes, out refusal) is var status and not ParseStatus.Done)
        {
            return status;
        }

        head.Version = bytes[7] == '0' ? HttpVersion.Http10 : HttpVersion.Http11;
        head.StatusCode = ((bytes[9] - '0') * 100) + ((bytes[10] - '0') * 10) + (bytes[11] - '0');

        // The blank before the reason is required (RFC 9112 4), but so many servers leave it out that it is not asked for.
        var end = ByteScan.ValueEnd(bytes, StatusEnd);
        var hasBlank = end > StatusEnd;
        if (hasBlank && bytes[StatusEnd] != ' ')
        {
            refusal = Refusal.StatusLineMalformed;
            return ParseStatus.Invalid;
        }

        head.ReasonStart = hasBlank ? StatusEnd + 1 : StatusEnd;
        head.ReasonLength = end - head.ReasonStart;
        if (end == bytes.Length || (bytes[end] == '\r' && end + 1 == bytes.Length))
        {
            refusal = Refusal.None;
            return ParseStatus.Partial;
        }

        headersStart = end + 2;
        refusal = Refusal.None;
        return bytes[end] == '\r' && bytes[end + 1] == '\n'
            ? ParseStatus.Done
            : StrayByte.Refuse(bytes, end, Refusal.StatusLineMalformed, out refusal);
    }

    /// <summary>Whether this is "HTTP/1.x DDD " with a status from 100 to 599: one comparison for all but the odd response.</summary>
    private static bool StartsUsual(ReadOnlySpan<byte> bytes)
    {
        const ulong Prefix = 0x2E312F50545448; // "HTTP/1." as little-endian bytes.
        const ulong PrefixMask = 0xFF_FFFF_FFFF_FFFF;
        return bytes.Length > StatusEnd
            && (BinaryPrimitives.ReadUInt64LittleEndian(bytes) & PrefixMask) == Prefix
            && Fits(bytes[7], 7)
            && bytes[8] == ' '
            && Fits(bytes[9], 9)
            && Fits(bytes[10], 10)
            && Fits(bytes[11], 11);
    }

    /// <summary>The same byte by byte, to say what is wrong or missing.</summary>
    private static ParseStatus CheckUnusualStart(ReadOnlySpan<byte> bytes, out Refusal refusal)
    {
        refusal = Refusal.None;
        for (var i = 0; i < StatusEnd; i++)
        {
            if (i == bytes.Length)
            {
                return ParseStatus.Partial;
            }

            if (!Fits(bytes[i], i))
            {
                var isForeign = i == 0 && bytes[0] is < 0x20 or >= 0x7F && bytes[0] != '\r';
                return StrayByte.Refuse(bytes, i, isForeign ? Refusal.NotHttp : Refusal.StatusLineMalformed, out refusal);
            }
        }

        if (bytes[5] != '1')
        {
            refusal = Refusal.VersionUnsupported;
            return ParseStatus.Invalid;
        }

        return ParseStatus.Done;
    }

    /// <summary>Whether a byte may stand at this index of "HTTP/D.D DDD", with a status from 100 to 599.</summary>
    private static bool Fits(byte value, int index) => index switch
    {
        < 5 => value == "HTTP/"u8[index],
        6 => value == '.',
        8 => value == ' ',
        9 => value is >= (byte)'1' and <= (byte)'5',
        _ => char.IsAsciiDigit((char)value),
    };
}
