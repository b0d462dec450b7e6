using System.Text.RegularExpressions;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;

namespace FastLB.Fuzzing.References;

/// <summary>
/// Whose request it is, from the lines that proxies write (X-Forwarded-For; Forwarded, RFC 7239 4 and 6): all lines are one list, which is read from its end. By design of Forwarded: unquoted
/// values may have characters that no token has, because many write addresses so; escapes are not taken; quotes are counted from the end of a line.
/// </summary>
internal static partial class ForwardedReference
{
    public static ClientAddress Client(ClientAddress peer, IEnumerable<string> lines, bool isForwarded, NetworkSet trusted)
    {
        var entries = lines.SelectMany(line => isForwarded ? CommaOutsideQuotes().Split(line) : line.Split(',')).Select(e => e.Trim(' ', '\t')).Reverse();
        var client = peer;
        foreach (var entry in entries)
        {
            if ((isForwarded ? For(entry) : AddressReference.Node(entry)) is not { } address)
            {
                break;
            }

            client = address;
            if (!trusted.Contains(address))
            {
                break;
            }
        }

        return client;
    }

    /// <summary>Whether a list can be read in one way alone: every part between commas outside of quotes, counted from its beginning, is an element.</summary>
    public static bool IsWellFormed(string list) => List().IsMatch(list);

    private static ClientAddress? For(string element)
    {
        if (!Element().IsMatch(element))
        {
            return null;
        }

        var named = Pair().Matches(element).Where(p => p.Groups["name"].Value.Equals("for", StringComparison.OrdinalIgnoreCase)).ToList();
        return named.Count == 1 ? AddressReference.Node(named[0].Groups["value"].Value.Trim('"')) : null;
    }

    private const string OnePair = @"(?<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?<value>""[^""\\]*""|[^"" \t,;\\]+)";

    [GeneratedRegex(@",(?=[^""]*(?:""[^""]*""[^""]*)*\z)")]
    private static partial Regex CommaOutsideQuotes();

    [GeneratedRegex($@"\A{OnePair}(;{OnePair})*\z")]
    private static partial Regex Element();

    [GeneratedRegex($@"\A{OnePair}(;{OnePair})*([ \t]*,[ \t]*{OnePair}(;{OnePair})*)*\z")]
    private static partial Regex List();

    [GeneratedRegex(OnePair)]
    private static partial Regex Pair();
}
