using System.Globalization;
using System.Text.RegularExpressions;
using FastLB.Core.Loop;

namespace FastLB.Fuzzing.References;

/// <summary>Addresses as text, in words: dotted IPv4 without leading zeros (RFC 6943 3.1.1 tells why), IPv6 of RFC 4291 2.2 without zones.</summary>
internal static partial class AddressReference
{
    public static ushort? Port(string text) =>
        Number().IsMatch(text) && text.Length <= 5 && int.Parse(text, CultureInfo.InvariantCulture) is <= 65_535 and var port ? (ushort)port : null;

    public static byte[]? IPv4(string text)
    {
        var parts = text.Split('.');
        return parts.Length == 4 && parts.All(p => p.Length <= 3 && Number().IsMatch(p) && int.Parse(p, CultureInfo.InvariantCulture) <= 255)
            ? [.. parts.Select(p => byte.Parse(p, CultureInfo.InvariantCulture))]
            : null;
    }

    public static byte[]? IPv6(string text)
    {
        var halves = text.Split("::");
        if (halves.Length > 2)
        {
            return null;
        }

        var left = Half(halves[0], isLast: halves.Length == 1);
        var right = halves.Length == 2 ? Half(halves[1], isLast: true) : [];
        if (left is null || right is null)
        {
            return null;
        }

        // "::" stands for at least one group (RFC 4291 2.2).
        var missing = 16 - left.Length - right.Length;
        return halves.Length == 1 ? (missing == 0 ? left : null)
            : missing >= 2 ? [.. left, .. new byte[missing], .. right]
            : null;
    }

    public static ClientAddress AddressOf(byte[] bytes, ushort port) =>
        bytes.Length == 4 ? new ClientAddress((uint)((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]), port) : new ClientAddress(bytes, port);

    /// <summary>Zeros of either family, IPv4 also in IPv6 (RFC 4291 2.5.2, 2.5.5.2), are nobody's address.</summary>
    public static bool IsUnspecified(byte[] bytes) =>
        bytes.All(b => b == 0) || (bytes.Length == 16 && bytes[..10].All(b => b == 0) && bytes[10] == 255 && bytes[11] == 255 && bytes[12..].All(b => b == 0));

    /// <summary>A node of RFC 7239 6 or of X-Forwarded-For, which also has IPv6 without brackets. Null: no address.</summary>
    public static ClientAddress? Node(string text)
    {
        var brackets = Brackets().Match(text);
        if (brackets.Success)
        {
            ushort? port = brackets.Groups["port"].Success ? Port(brackets.Groups["port"].Value) : 0;
            return IPv6(brackets.Groups["v6"].Value) is { } v6 && port is { } p && !IsUnspecified(v6) ? AddressOf(v6, p) : null;
        }

        if (text.Count(c => c == ':') > 1)
        {
            return IPv6(text) is { } bare && !IsUnspecified(bare) ? AddressOf(bare, 0) : null;
        }

        var parts = text.Split(':');
        ushort? portOf = parts.Length == 2 ? Port(parts[1]) : 0;
        return IPv4(parts[0]) is { } v4 && portOf is { } q && !IsUnspecified(v4) ? AddressOf(v4, q) : null;
    }

    /// <summary>Groups between colons; the last one of all may be an IPv4 address, which makes two groups.</summary>
    private static byte[]? Half(string text, bool isLast)
    {
        if (text.Length == 0)
        {
            return [];
        }

        var groups = text.Split(':');
        var bytes = new List<byte>();
        for (var i = 0; i < groups.Length; i++)
        {
            if (Group().IsMatch(groups[i]))
            {
                var value = Convert.ToUInt16(groups[i], 16);
                bytes.Add((byte)(value >> 8));
                bytes.Add((byte)value);
            }
            else if (isLast && i == groups.Length - 1 && IPv4(groups[i]) is { } tail)
            {
                bytes.AddRange(tail);
            }
            else
            {
                return null;
            }
        }

        return bytes.Count <= 16 ? [.. bytes] : null;
    }

    [GeneratedRegex(@"\A(0|[1-9][0-9]*)\z")]
    private static partial Regex Number();

    [GeneratedRegex(@"\A[0-9A-Fa-f]{1,4}\z")]
    private static partial Regex Group();

    [GeneratedRegex(@"\A\[(?<v6>[^\]]*)\](:(?<port>.*))?\z", RegexOptions.Singleline)]
    private static partial Regex Brackets();
}
