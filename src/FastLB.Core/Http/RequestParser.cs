using System.Buffers.Binary;
using FastLB.Core.Loop;

namespace FastLB.Core.Http;

/// <summary>
/// Reads the head of an HTTP/1.1 or HTTP/1.0 request: the request line (RFC 9112 3) and the header lines. Strict: it takes the
/// grammar as it stands, with CRLF line ends only, and only one liberty, a single CRLF before the request line (2.2).
/// What the lines mean together is <see cref="RequestRules"/>' business.
/// </summary>
public static class RequestParser
{
    /// <summary>The longest method, in bytes. Over it: 501.</summary>
    public const int MaxMethodBytes = 32;

    private const ulong Http11 = 0x312E312F50545448; // "HTTP/1.1" as little-endian bytes.

    /// <summary>
    /// Reads the head that starts at the first of <paramref name="bytes"/>, of which an earlier call that answered Partial already
    /// had <paramref name="seen"/> (0 at first). The answer is the same however the bytes were cut. A call without a
    /// new line end answers Partial at once, so a client that trickles pays for lines, not for bytes squared.
    /// </summary>
    public static ParseStatus Parse(
        ReadOnlySpan<byte> bytes, int seen, HttpLimits limits, MessageHead head, out Refusal refusal)
    {
        Invariant.That((uint)seen <= (uint)bytes.Length, "bytes that were seen are still there");
        Invariant.That(limits.HeadBytes <= MessageHead.MaxBytes, "a head fits 16-bit offsets");
        Invariant.That(limits.HeaderCount <= MessageHead.MaxHeaders, "a head has room for the allowed header lines");
        if (seen > 0 && CannotHaveChanged(bytes, seen, limits))
        {
            refusal = Refusal.None;
            return ParseStatus.Partial;
        }

        // Nothing beyond the limit is looked at, so a refusal there cannot depend on how much has come.
        var window = bytes.Length > limits.HeadBytes ? bytes[..limits.HeadBytes] : bytes;
        var status = ParseRequestLine(window, limits, head, out var headersStart, out refusal);
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

    private static bool CannotHaveChanged(ReadOnlySpan<byte> bytes, int seen, HttpLimits limits)
    {
        // A request line that never ends is over its target limit at this many bytes: CRLF, method, blank, target.
        var longestOpenRequestLine = 2L + MaxMethodBytes + 1 + limits.TargetBytes;
        var crossedIt = seen <= longestOpenRequestLine && bytes.Length > longestOpenRequestLine;
        return bytes.Length < limits.HeadBytes && !crossedIt && !bytes[seen..].Contains((byte)'\n');
    }

    private static ParseStatus ParseRequestLine(
        ReadOnlySpan<byte> bytes, HttpLimits limits, MessageHead head, out int headersStart, out Refusal refusal)
    {
        headersStart = 0;
        refusal = Refusal.None;
        var methodStart = 0;
        if (bytes.Length > 0 && bytes[0] == '\r')
        {
            if (bytes.Length == 1)
            {
                return ParseStatus.Partial;
            }

            if (bytes[1] != '\n')
            {
                refusal = Refusal.BareCarriageReturn;
                return ParseStatus.Invalid;
            }

            methodStart = 2;
        }

        // The method, up to one blank.
        var methodEnd = ByteScan.TokenEnd(bytes, methodStart);
        var methodLength = methodEnd - methodStart;
        if (methodLength > MaxMethodBytes)
        {
            refusal = Refusal.MethodTooLong;
            return ParseStatus.Invalid;
        }

        if (methodEnd == bytes.Length)
        {
            return ParseStatus.Partial;
        }

        if (bytes[methodEnd] != ' ' || methodLength == 0)
        {
            return RefuseMethod(bytes, methodStart, methodEnd, out refusal);
        }

        head.MethodStart = methodStart;
        head.MethodLength = methodLength;
        head.Method = MethodOf(bytes[methodStart..methodEnd]);

        // The target, up to one blank.
        var targetStart = methodEnd + 1;
        var targetEnd = ByteScan.TargetEnd(bytes, targetStart);
        if (targetEnd - targetStart > limits.TargetBytes)
        {
            refusal = Refusal.TargetTooLong;
            return ParseStatus.Invalid;
        }

        if (targetEnd == bytes.Length)
        {
            return ParseStatus.Partial;
        }

        if (bytes[targetEnd] != ' ' || targetEnd == targetStart)
        {
            // "GET /" and a line end is HTTP/0.9: what is missing there is the version.
            var reason = bytes[targetEnd] == '\r' && targetEnd > targetStart ? Refusal.VersionMalformed : Refusal.TargetMalformed;
            return StrayByte.Refuse(bytes, targetEnd, reason, out refusal);
        }

        head.TargetStart = targetStart;
        head.TargetLength = targetEnd - targetStart;
        if (bytes[targetStart] != '/' && !RequestTarget.HasOtherForm(bytes[targetStart..targetEnd], head.Method))
        {
            refusal = Refusal.TargetMalformed;
            return ParseStatus.Invalid;
        }

        // The version, up to CRLF.
        var version = bytes[(targetEnd + 1)..];
        headersStart = targetEnd + 1 + 10;
        if (version.Length >= 10
            && BinaryPrimitives.ReadUInt64LittleEndian(version) == Http11
            && version[8] == '\r'
            && version[9] == '\n')
        {
            head.Version = HttpVersion.Http11;
            return ParseStatus.Done;
        }

        return ParseUnusualVersion(version, head, out refusal);
    }

    /// <summary>Every version but HTTP/1.1, and what is none or not there yet, byte by byte.</summary>
    private static ParseStatus ParseUnusualVersion(ReadOnlySpan<byte> version, MessageHead head, out Refusal refusal)
    {
        refusal = Refusal.None;
        for (var i = 0; i < 10; i++)
        {
            if (i == version.Length)
            {
                return ParseStatus.Partial;
            }

            var value = version[i];
            var fits = i switch
            {
                < 5 => value == "HTTP/"u8[i],
                6 => value == '.',
                8 => value == '\r',
                9 => value == '\n',
                _ => char.IsAsciiDigit((char)value),
            };
            if (!fits)
            {
                return i == 9
                    ? StrayByte.Refuse(version, 8, Refusal.VersionMalformed, out refusal)
                    : StrayByte.Refuse(version, i, Refusal.VersionMalformed, out refusal);
            }
        }

        if (version[5] != '1')
        {
            refusal = Refusal.VersionUnsupported;
            return ParseStatus.Invalid;
        }

        // A minor version we do not know promises no less than the highest one we do (RFC 9110 2.5).
        head.Version = version[7] == '0' ? HttpVersion.Http10 : HttpVersion.Http11;
        return ParseStatus.Done;
    }

    private static ParseStatus RefuseMethod(ReadOnlySpan<byte> bytes, int methodStart, int methodEnd, out Refusal refusal)
    {
        // A control or high byte at the very start is another protocol (a TLS record starts with 0x16), not a typing mistake.
        var isForeign = methodEnd == methodStart && bytes[methodEnd] is < 0x20 or >= 0x7F && bytes[methodEnd] != '\r';
        return StrayByte.Refuse(bytes, methodEnd, isForeign ? Refusal.NotHttp : Refusal.MethodMalformed, out refusal);
    }

    private static RequestMethod MethodOf(ReadOnlySpan<byte> method) => method.Length switch
    {
        3 when method.SequenceEqual("GET"u8) => RequestMethod.Get,
        3 when method.SequenceEqual("PUT"u8) => RequestMethod.Put,
        4 when method.SequenceEqual("POST"u8) => RequestMethod.Post,
        4 when method.SequenceEqual("HEAD"u8) => RequestMethod.Head,
        5 when method.SequenceEqual("PATCH"u8) => RequestMethod.Patch,
        5 when method.SequenceEqual("TRACE"u8) => RequestMethod.Trace,
        6 when method.SequenceEqual("DELETE"u8) => RequestMethod.Delete,
        7 when method.SequenceEqual("OPTIONS"u8) => RequestMethod.Options,
        7 when method.SequenceEqual("CONNECT"u8) => RequestMethod.Connect,
        _ => RequestMethod.Other,
    };
}
