using System.Buffers;

namespace FastLB.Core.Http;

/// <summary>Percent-encoded bytes of a URI (RFC 3986 2.1). A '%' without two hexadecimal digits behind it stands for itself.</summary>
internal static class PercentCoding
{
    /// <summary>What may stand in a URI as it is: unreserved and reserved characters and '%' (RFC 3986 2.2, 2.3).</summary>
    private static readonly SearchValues<byte> s_uri = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;=%"u8);

    /// <summary>The byte that begins at <paramref name="position"/>, and how many bytes of <paramref name="text"/> write it: one or three.</summary>
    internal static byte At(ReadOnlySpan<byte> text, int position, out int length)
    {
        var value = text[position];
        if (value == '%' && position + 2 < text.Length)
        {
            var high = DigitOf(text[position + 1]);
            var low = DigitOf(text[position + 2]);
            if (high >= 0 && low >= 0)
            {
                length = 3;
                return (byte)((high << 4) | low);
            }
        }

        length = 1;
        return value;
    }

    /// <summary>Decodes a part of a query, in which '+' is a blank. The count of bytes; never more than there were.</summary>
    internal static int DecodeQuery(ReadOnlySpan<byte> text, Span<byte> to)
    {
        var count = 0;
        for (var position = 0; position < text.Length;)
        {
            to[count++] = text[position] == '+' ? (byte)' ' : At(text, position, out _);
            At(text, position, out var length);
            position += length;
        }

        return count;
    }

    /// <summary>Writes bytes that a client sent into a URI, so that they can be nothing but text in it.</summary>
    internal static void Write(scoped ReadOnlySpan<byte> text, ref HeadWriter writer)
    {
        while (!text.IsEmpty)
        {
            var end = text.IndexOfAnyExcept(s_uri);
            if (end < 0)
            {
                writer.Write(text);
                return;
            }

            writer.Write(text[..end]);
            writer.Write([(byte)'%', Digit(text[end] >> 4), Digit(text[end] & 15)]);
            text = text[(end + 1)..];
        }
    }

    private static byte Digit(int value) => (byte)(value < 10 ? '0' + value : 'A' + value - 10);

    private static int DigitOf(byte value) => value switch
    {
        >= (byte)'0' and <= (byte)'9' => value - '0',
        >= (byte)'a' and <= (byte)'f' => value - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => value - 'A' + 10,
        _ => -1,
    };
}
