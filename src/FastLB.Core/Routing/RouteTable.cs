using FastLB.Core.Http;

namespace FastLB.Core.Routing;

/// <summary>
/// A listener's routes, compiled: the first rule whose conditions hold wins. The rules are found by host and path at a cost that hardly depends on how many
/// there are; other conditions are asked only of those. Immutable; see <see cref="ForLoops"/>.
/// </summary>
public sealed class RouteTable
{
    /// <summary>What <see cref="Match"/> answers when no rule matches.</summary>
    public const int NoRoute = -1;

    /// <summary>What it answers when the path can be read in several ways and they lead to different routes.</summary>
    public const int Ambiguous = -2;

    private readonly Route[] _routes;
    private readonly HostIndex _hosts;
    private readonly bool _firstTakesAll;
    private readonly bool _hasPaths;

    /// <param name="rules">In order; the first that matches wins.</param>
    /// <param name="switches">The listener's; null: switches that nobody turns.</param>
    public RouteTable(IEnumerable<RouteRule> rules, RouteSwitches? switches = null)
    {
        Rules = [.. rules];
        switches ??= new RouteSwitches();
        _routes = [.. Rules.Select((rule, number) => new Route(rule, number, switches))];
        _firstTakesAll = Rules is [{ Host: null, HasPath: false, HasMore: false }, ..];
        _hasPaths = Rules.Any(r => r.HasPath);
        HasBodyLimits = Rules.Any(r => r.MaxBodyBytes is not null);
        var byHost = _routes.GroupBy(r => r.Rule.Host?.TrimEnd('.').ToLowerInvariant() ?? "").ToArray();
        _hosts = new HostIndex(
            byHost.Where(g => g.Key.Length > 0).Select(g => (g.Key, PathsOf(g))),
            PathsOf(byHost.Where(g => g.Key.Length == 0).SelectMany(g => g)));
    }

    /// <summary>
    /// A table for each loop. One serves them all unless there are regular expressions: those would make the loops wait for each other.
    /// </summary>
    public static RouteTable[] ForLoops(IReadOnlyList<RouteRule> rules, RouteSwitches switches, int loops)
    {
        var first = new RouteTable(rules, switches);
        var isShared = !rules.Any(r => r.PathRegex is not null || r.Fields.Any(f => f.Match == FieldMatch.Regex));
        return [.. Enumerable.Range(0, loops).Select(loop => isShared || loop == 0 ? first : new RouteTable(rules, switches))];
    }

    /// <summary>What it was made of.</summary>
    public IReadOnlyList<RouteRule> Rules { get; }

    public IReadOnlyList<Route> Routes => _routes;

    /// <summary>Whether a rule has a limit of its own for request bodies.</summary>
    internal bool HasBodyLimits { get; }

    /// <summary>The number of the rule, from 0; <see cref="NoRoute"/> or <see cref="Ambiguous"/> when there is no such.</summary>
    /// <param name="source">The head's bytes.</param>
    /// <param name="head">Where things stand in them.</param>
    /// <param name="facts">What they mean.</param>
    public int Match(ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts)
    {
        if (_firstTakesAll)
        {
            return 0;
        }

        var path = facts.PathLength == 0 ? "/"u8 : source.Slice(facts.PathStart, facts.PathLength);
        ReadOnlySpan<byte> query = default;
        if (path.IndexOf((byte)'?') is var question and >= 0)
        {
            query = path[(question + 1)..];
            path = path[..question];
        }

        var host = _hosts.Find(source.Slice(facts.HostStart, facts.HostNameLength));
        return !_hasPaths || PathReadings.IsPlain(path)
            ? MatchReading(host, source, head, path, query)
            : MatchEveryReading(host, source, head, path, query);
    }

    private int MatchEveryReading(HostRules host, ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> path, ReadOnlySpan<byte> query)
    {
        Span<byte> memory = stackalloc byte[2 * path.Length];
        var decoded = memory[..PathReadings.Decode(path, memory)];
        var reading = memory[path.Length..];
        if (PathReadings.HasControls(decoded))
        {
            // Workers disagree on where such a path ends, and '.' of an expression does not match a line's end.
            return Ambiguous;
        }

        var rule = MatchReading(host, source, head, decoded, query);
        var relevant = PathReadings.RelevantTo(decoded);
        for (var how = PathReading.Slashes; how <= relevant; how++)
        {
            if ((how & ~relevant) != 0)
            {
                continue;
            }

            var read = reading[..PathReadings.Read(decoded, how, reading)];
            if (!read.SequenceEqual(decoded) && MatchReading(host, source, head, read, query) != rule)
            {
                return Ambiguous;
            }
        }

        return rule;
    }

    private int MatchReading(HostRules host, ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> path, ReadOnlySpan<byte> query)
    {
        // Each chain link answers its first rule that holds; the first of those is the first of all.
        var first = int.MaxValue;
        for (var rules = host; rules is not null; rules = rules.LessSpecific)
        {
            foreach (var number in rules.Paths.Find(path))
            {
                if (number >= first)
                {
                    break;
                }

                if (!_routes[number].HasMore || _routes[number].Holds(source, head, path, query))
                {
                    first = number;
                    break;
                }
            }
        }

        return first == int.MaxValue ? NoRoute : first;
    }

    private static PathTrie PathsOf(IEnumerable<Route> routes) => new(
        routes.Select(r => (r.Number, Decoded(r.Rule.PathExact ?? r.Rule.PathPrefix ?? ""), r.Rule.PathExact is not null, r.HasMore)));

    /// <summary>A rule's path in the form in which requests are looked up.</summary>
    private static byte[] Decoded(string path)
    {
        var text = System.Text.Encoding.UTF8.GetBytes(path);
        var decoded = new byte[text.Length];
        return decoded[..PathReadings.Decode(text, decoded)];
    }
}
