using System.Buffers;
using System.Net;

namespace FastLB.Core.Http;

/// <summary>
/// Checks a host with its optional port, as Host and the absolute form carry it (RFC 9110 4.2.1 and 7.2, RFC 3986 3.2.2). Stricter
/// than the grammar in two points: no ',' (two hosts folded into one line look like that) and no empty host.
/// </summary>
internal static class Authority
{
    private const int MaxPort = ushort.MaxValue;

    private static readonly SearchValues<byte> RegisteredName = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+;="u8);

    private static readonly SearchValues<byte> Ipv6 = SearchValues.Create("0123456789abcdefABCDEF:."u8);

    /// <summary>
    /// Whether <paramref name="authority"/> is a host with an optional port; <paramref name="nameLength"/> is then the host's length in
    /// bytes, with the brackets of an IPv6 address and without the port.
    /// </summary>
    internal static bool IsValid(ReadOnlySpan<byte> authority, out int nameLength)
    {
        nameLength = authority.Length > 0 && authority[0] == '['
            ? BracketedLength(authority)
            : RegisteredNameLength(authority);
        return nameLength > 0 && IsPortOrNothing(authority[nameLength..]);
    }

    private static int BracketedLength(ReadOnlySpan<byte> authority)
    {
        var close = authority.IndexOf((byte)']');
        if (close < 0)
        {
            return 0;
        }

        // The alphabet keeps out what the runtime takes beyond RFC 3986: zone names, prefix lengths, inner brackets.
        var address = authority[1..close];
        return !address.ContainsAnyExcept(Ipv6) && address.Contains((byte)':') && IPAddress.IsValidUtf8(address)
            ? close + 1
            : 0;
    }

    private static int RegisteredNameLength(ReadOnlySpan<byte> authority)
    {
        var end = authority.IndexOfAnyExcept(RegisteredName);
        var length = end < 0 ? authority.Length : end;
        var rest = authority[..length];
        for (var percent = rest.IndexOf((byte)'%'); percent >= 0; percent = rest.IndexOf((byte)'%'))
        {
            if (rest.Length < percent + 3
                || !char.IsAsciiHexDigit((char)rest[percent + 1])
                || !char.IsAsciiHexDigit((char)rest[percent + 2]))
            {
                return 0;
            }

            rest = rest[(percent + 3)..];
        }

        return length;
    }

    /// <summary>Nothing, or ':' and at most five digits up to 65535; no digit at all is the default port (RFC 3986 3.2.3).</summary>
    private static bool IsPortOrNothing(ReadOnlySpan<byte> rest)
    {
        if (rest.IsEmpty)
        {
            return true;
        }

        if (rest[0] != ':' || rest.Length > 6)
        {
            return false;
        }

        var port = 0;
        foreach (var digit in rest[1..])
        {
            if (!char.IsAsciiDigit((char)digit))
            {
                return false;
            }

            port = (port * 10) + (digit - '0');
        }

        return port <= MaxPort;
    }
}
