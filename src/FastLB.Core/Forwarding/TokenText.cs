using System.Buffers;

namespace FastLB.Core.Forwarding;

/// <summary>Tokens of RFC 9110 5.6.2, and numbers in lower-case hexadecimal.</summary>
internal static class TokenText
{
    public static readonly SearchValues<byte> Characters = SearchValues.Create(
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"u8);

    public static readonly SearchValues<byte> LowerHex = SearchValues.Create("0123456789abcdef"u8);

    /// <summary>Writes 16 digits.</summary>
    public static void WriteHex(ulong value, Span<byte> destination)
    {
        for (var i = 15; i >= 0; i--)
        {
            destination[i] = "0123456789abcdef"u8[(int)(value & 15)];
            value >>= 4;
        }
    }
}
