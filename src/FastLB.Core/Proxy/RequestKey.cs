using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>Finds what a strategy, a session or a limit goes by in a request, and hashes it. A request that lacks it goes by its client's address.</summary>
internal static class RequestKey
{
    /// <summary>Of the address without its port, so that all connections of a client are one.</summary>
    public static ulong HashOf(in ClientAddress client, ulong seed = 0) => KeyHash.Of(client.High, client.Low, seed);

    /// <param name="by">What is hashed.</param>
    /// <param name="name">The name of the header, cookie or parameter, in lower case for a header.</param>
    /// <param name="client">Who sent it.</param>
    /// <param name="source">The head's bytes.</param>
    /// <param name="head">Where things stand in them.</param>
    /// <param name="facts">What they mean.</param>
    /// <param name="seed">For keys that others must not foresee.</param>
    public static ulong HashOf(
        KeySource by, ReadOnlySpan<byte> name, in ClientAddress client, ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts, ulong seed = 0)
    {
        var target = source.Slice(facts.PathStart, facts.PathLength);
        var found = by switch
        {
            KeySource.Header => TryFindHeader(source, head, name, out var header) ? KeyHash.Of(header, seed) : default(ulong?),
            KeySource.Cookie => TryFindCookie(source, head, name, out var cookie) ? KeyHash.Of(cookie, seed) : default(ulong?),
            KeySource.Path => KeyHash.Of(PathOf(target), seed),
            KeySource.Query => TryFindParameter(target, name, out var parameter) ? KeyHash.Of(parameter, seed) : default(ulong?),
            KeySource.Everyone => KeyHash.Of(0, 0, seed),
            _ => default(ulong?),
        };
        return found ?? HashOf(client, seed);
    }

    private static ReadOnlySpan<byte> PathOf(ReadOnlySpan<byte> target) =>
        target.IndexOf((byte)'?') is var question and >= 0 ? target[..question] : target;

    public static bool TryFindHeader(ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        foreach (ref readonly var line in head.Headers)
        {
            if (line.NameLength == name.Length && Ascii.EqualsIgnoreCase(source.Slice(line.NameStart, line.NameLength), name))
            {
                value = source.Slice(line.ValueStart, line.ValueLength);
                return true;
            }
        }

        value = default;
        return false;
    }

    private static bool TryFindCookie(ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id != HeaderId.Cookie)
            {
                continue;
            }

            foreach (var pair in new CookiePairs(source.Slice(line.ValueStart, line.ValueLength)))
            {
                if (pair.Name.SequenceEqual(name))
                {
                    value = pair.Value;
                    return true;
                }
            }
        }

        value = default;
        return false;
    }

    private static bool TryFindParameter(ReadOnlySpan<byte> target, ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        var rest = target.IndexOf((byte)'?') is var question and >= 0 ? target[(question + 1)..] : default;
        while (!rest.IsEmpty)
        {
            var end = rest.IndexOf((byte)'&');
            var pair = end < 0 ? rest : rest[..end];
            rest = end < 0 ? default : rest[(end + 1)..];
            if (pair.StartsWith(name) && (pair.Length == name.Length || pair[name.Length] == '='))
            {
                value = pair.Length == name.Length ? default : pair[(name.Length + 1)..];
                return true;
            }
        }

        value = default;
        return false;
    }
}
