namespace FastLB.Core.Http;

public enum BodyKind : byte
{
    /// <summary>The message ends with its head.</summary>
    None,

    /// <summary>As many bytes follow as Content-Length says.</summary>
    Length,

    Chunked,

    /// <summary>Of a response only: the body ends when the worker closes the connection.</summary>
    UntilClose,
}

/// <summary>
/// Where the body of a message ends (RFC 9112 6.3). <see cref="Length"/> is in bytes, 0 unless the kind is
/// <see cref="BodyKind.Length"/>. What goes out is written anew from this; the lines that came are never copied.
/// </summary>
public readonly record struct BodyFraming(BodyKind Kind, long Length)
{
    /// <summary>
    /// Reads Content-Length and Transfer-Encoding; without either the kind is None. Whatever two readers might frame
    /// differently is refused: both headers together, other codings, differing lengths, Transfer-Encoding in HTTP/1.0. Equal
    /// Content-Length lines are one (RFC 9110 8.6), a list in one line is not.
    /// </summary>
    internal static Refusal Read(ReadOnlySpan<byte> bytes, MessageHead head, out BodyFraming framing)
    {
        framing = default;
        if (head.Has(HeaderId.TransferEncoding))
        {
            if (head.Version == HttpVersion.Http10)
            {
                return Refusal.TransferEncodingInHttp10;
            }

            if (head.Has(HeaderId.ContentLength))
            {
                return Refusal.LengthAndEncoding;
            }

            framing = new BodyFraming(BodyKind.Chunked, 0);
            return ReadTransferEncoding(bytes, head);
        }

        return head.Has(HeaderId.ContentLength) ? ReadContentLength(bytes, head, out framing) : Refusal.None;
    }

    private static Refusal ReadContentLength(ReadOnlySpan<byte> bytes, MessageHead head, out BodyFraming framing)
    {
        framing = default;
        var length = -1L;
        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id != HeaderId.ContentLength)
            {
                continue;
            }

            var value = ReadDecimal(bytes.Slice(line.ValueStart, line.ValueLength));
            if (value < 0)
            {
                return Refusal.ContentLengthMalformed;
            }

            if (length >= 0 && length != value)
            {
                return Refusal.ContentLengthConflict;
            }

            length = value;
            if (!head.Repeats(HeaderId.ContentLength))
            {
                break;
            }
        }

        framing = new BodyFraming(BodyKind.Length, length);
        return Refusal.None;
    }

    /// <summary>The number, or -1 if it is none or above <see cref="long.MaxValue"/>. Digits only (RFC 9110 8.6).</summary>
    private static long ReadDecimal(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
        {
            return -1;
        }

        var value = 0L;
        foreach (var character in text)
        {
            var digit = (uint)character - '0';
            if (digit > 9 || value > (long.MaxValue - digit) / 10)
            {
                return -1;
            }

            value = (value * 10) + digit;
        }

        return value;
    }

    /// <summary>None if the codings of all lines together are exactly "chunked"; otherwise what is wrong with them.</summary>
    private static Refusal ReadTransferEncoding(ReadOnlySpan<byte> bytes, MessageHead head)
    {
        var chunkedCount = 0;
        var isLastChunked = false;
        var hasUnknown = false;
        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id != HeaderId.TransferEncoding)
            {
                continue;
            }

            var rest = bytes.Slice(line.ValueStart, line.ValueLength);
            while (true)
            {
                var comma = rest.IndexOf((byte)',');
                var coding = (comma < 0 ? rest : rest[..comma]).Trim(" \t"u8);
                if (coding.IsEmpty || ByteScan.TokenEnd(coding, 0) != coding.Length)
                {
                    return Refusal.TransferEncodingMalformed;
                }

                isLastChunked = HeadText.Is(coding, "chunked"u8);
                hasUnknown |= !isLastChunked;
                chunkedCount += isLastChunked ? 1 : 0;
                if (comma < 0)
                {
                    break;
                }

                rest = rest[(comma + 1)..];
            }
        }

        return chunkedCount > 1 ? Refusal.ChunkedRepeated
            : !isLastChunked ? Refusal.ChunkedNotLast
            : hasUnknown ? Refusal.TransferEncodingUnknown
            : Refusal.None;
    }
}
