using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace FastLB.Fuzzing.References;

/// <summary>
/// Cookie lines as RFC 6265 5.4 makes them and as servers read them, with strings. By design more is taken than the grammar of 4.2.1 has, because it is passed on: empty pieces, pieces
/// without '=', blanks anywhere.
/// </summary>
internal static partial class CookieReference
{
    public static List<(string Text, string Name, string Value)> Pairs(string value) =>
        [.. value.Split(';').Select(p => p.Trim(' ', '\t')).Where(p => p.Length > 0).Select(Pair)];

    /// <summary>The slot that a cookie names which was signed with this key; -1: none.</summary>
    public static int Slot(string value, string pool, byte[] key)
    {
        var match = Signed().Match(value);
        if (!match.Success)
        {
            return -1;
        }

        var slot = match.Groups["slot"].Value;
        var signature = HMACSHA256.HashData(key, Encoding.Latin1.GetBytes($"{pool}\0{slot}"));
        var text = Convert.ToBase64String(signature).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        return text == match.Groups["signature"].Value && slot.Length <= 4 && int.Parse(slot, System.Globalization.CultureInfo.InvariantCulture) < 4096 ? int.Parse(slot, System.Globalization.CultureInfo.InvariantCulture) : -1;
    }

    private static (string Text, string Name, string Value) Pair(string text)
    {
        var parts = text.Split('=', 2);
        return parts.Length == 1 ? (text, "", text) : (text, parts[0].TrimEnd(' ', '\t'), parts[1].TrimStart(' ', '\t'));
    }

    [GeneratedRegex(@"\A(?<slot>0|[1-9][0-9]*)\.(?<signature>.{43})\z", RegexOptions.Singleline)]
    private static partial Regex Signed();
}
