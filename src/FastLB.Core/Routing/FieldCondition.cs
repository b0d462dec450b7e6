using System.Text;
using System.Text.RegularExpressions;
using FastLB.Core.Http;

namespace FastLB.Core.Routing;

/// <summary>Where a value stands that a route goes by.</summary>
public enum FieldSource
{
    Header,
    Query,
    Cookie,
}

/// <summary>What a value has to be.</summary>
public enum FieldMatch
{
    /// <summary>Exactly the text, with its case.</summary>
    Exact,

    /// <summary>Anything, as long as it is there.</summary>
    Present,

    /// <summary>Not there at all.</summary>
    Absent,

    /// <summary>Something that starts with the text.</summary>
    Prefix,

    /// <summary>Something in which the regular expression is found.</summary>
    Regex,
}

/// <summary>
/// A condition on a header, a query parameter or a cookie. One that occurs several times holds when one of its values does; query parameters are
/// decoded first, because workers do that too.
/// </summary>
/// <param name="Source">Where it stands.</param>
/// <param name="Name">Its name; case matters except in headers.</param>
/// <param name="Match">What its value has to be.</param>
/// <param name="Text">The text or the expression; empty where none is needed.</param>
public sealed record FieldCondition(FieldSource Source, string Name, FieldMatch Match, string Text);

/// <summary>The same, compiled.</summary>
internal sealed class FieldMatcher(FieldCondition condition)
{
    private readonly byte[] _name = Encoding.UTF8.GetBytes(condition.Name);
    private readonly byte[] _text = Encoding.UTF8.GetBytes(condition.Text);
    private readonly RequestPattern? _pattern = condition.Match == FieldMatch.Regex ? new RequestPattern(condition.Text) : null;
    private readonly FieldSource _source = condition.Source;
    private readonly FieldMatch _match = condition.Match;

    public bool Holds(ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> query) =>
        (_match == FieldMatch.Absent) != (_source switch
        {
            FieldSource.Header => IsInHeaders(source, head),
            FieldSource.Cookie => IsInCookies(source, head),
            _ => IsInQuery(query),
        });

    private bool Fits(ReadOnlySpan<byte> value) => _match switch
    {
        FieldMatch.Exact => value.SequenceEqual(_text),
        FieldMatch.Prefix => value.StartsWith(_text),
        FieldMatch.Regex => _pattern!.IsIn(value),
        _ => true,
    };

    private bool IsInHeaders(ReadOnlySpan<byte> source, MessageHead head)
    {
        foreach (ref readonly var line in head.Headers)
        {
            // What does not go on, because a stranger made it up or something else takes its place, decides nothing.
            var isSeen = line.Id is not (HeaderId.Superseded or HeaderId.XForwarded or HeaderId.Forwarded) || (line.Id != HeaderId.Superseded && head.TrustsForwarding);
            if (isSeen && line.NameLength == _name.Length && Ascii.EqualsIgnoreCase(source.Slice(line.NameStart, line.NameLength), _name)
                && Fits(source.Slice(line.ValueStart, line.ValueLength)))
            {
                return true;
            }
        }

        return false;
    }

    private bool IsInCookies(ReadOnlySpan<byte> source, MessageHead head)
    {
        if (!head.Has(HeaderId.Cookie))
        {
            return false;
        }

        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id != HeaderId.Cookie)
            {
                continue;
            }

            foreach (var pair in new CookiePairs(source.Slice(line.ValueStart, line.ValueLength)))
            {
                if (pair.Name.SequenceEqual(_name) && Fits(pair.Value))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private bool IsInQuery(ReadOnlySpan<byte> query)
    {
        while (!query.IsEmpty)
        {
            var end = query.IndexOf((byte)'&');
            var pair = end < 0 ? query : query[..end];
            query = end < 0 ? default : query[(end + 1)..];
            if (pair.ContainsAny((byte)'%', (byte)'+') ? IsDecoded(pair) : IsPair(pair))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Apart from the loop, so that the stack is given back after each pair.</summary>
    private bool IsDecoded(ReadOnlySpan<byte> pair)
    {
        var equals = pair.IndexOf((byte)'=');
        Span<byte> decoded = stackalloc byte[pair.Length];
        var nameLength = PercentCoding.DecodeQuery(equals < 0 ? pair : pair[..equals], decoded);
        if (!decoded[..nameLength].SequenceEqual(_name))
        {
            return false;
        }

        var valueLength = equals < 0 ? 0 : PercentCoding.DecodeQuery(pair[(equals + 1)..], decoded);
        return Fits(decoded[..valueLength]);
    }

    private bool IsPair(ReadOnlySpan<byte> pair) =>
        pair.StartsWith(_name)
        && (pair.Length == _name.Length ? Fits(default) : pair[_name.Length] == '=' && Fits(pair[(_name.Length + 1)..]));
}

/// <summary>
/// A regular expression over bytes that a client sent. It is matched without backtracking, in time linear in the input (the derivatives of
/// Moseley et al., PLDI 2023), and allocates nothing once its automaton knows the states that occur. Loops do not share one: they would
/// wait for each other.
/// </summary>
internal sealed class RequestPattern(string expression)
{
    private readonly Regex _regex = new(expression, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.Singleline);

    /// <summary>Whether it is found anywhere in the text, which is at most a head long.</summary>
    public bool IsIn(ReadOnlySpan<byte> text)
    {
        Span<char> characters = stackalloc char[text.Length];
        var count = Encoding.UTF8.GetChars(text, characters);
        return _regex.IsMatch(characters[..count]);
    }
}
