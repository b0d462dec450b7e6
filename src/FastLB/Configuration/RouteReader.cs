using System.Text.RegularExpressions;
using FastLB.Core.Http;
using FastLB.Core.Routing;

namespace FastLB.Configuration;

/// <summary>
/// Reads a listener's <c>routes</c>: the conditions of each here, what it does in <see cref="RouteActionReader"/>. Warns of routes that no request can reach.
/// </summary>
/// <param name="hasRequestIds">Whether the listener gives requests an id.</param>
internal sealed class RouteReader(Mistakes mistakes, string baseDirectory, List<ScalarNode> poolNames, bool hasRequestIds)
{
    public const int MaxRoutes = 1024;
    public const int MaxPatternLength = 1024;

    private const int MaxConditions = 32;
    private const int MaxMethodLength = 32;

    private static readonly string[] Keys =
    [
        "name", "host", "path", "pathExact", "pathRegex", "methods", "headers", "query", "cookies", "pool", "redirect", "answer", "maintenance", "timeouts",
        "retries", "limits", "requestHeaders", "responseHeaders", "rewrite",
    ];

    public List<RouteRule> Read(Section listener)
    {
        var rules = new List<RouteRule>();
        var right = new List<(int Number, RouteRule Rule)>();
        var names = new Dictionary<string, int>(StringComparer.Ordinal);
        var number = 0;
        foreach (var node in listener.List("routes", "routes like { host: api.example.com, path: /v1/, pool: api }", MaxRoutes))
        {
            number++;
            var errorsBefore = mistakes.ErrorCount;
            if (Section.Open(node, $"route {number} of {listener.Name}", Keys, mistakes) is not { } route)
            {
                continue;
            }

            var actions = new RouteActionReader(mistakes, baseDirectory, poolNames, hasRequestIds);
            var rule = actions.Read(route, new RouteRule(ReadHost(route), ReadPath(route, "path"), "")
            {
                Name = ReadName(route, names),
                PathExact = ReadPath(route, "pathExact"),
                PathRegex = ReadPattern(route, "pathRegex"),
                Methods = ReadMethods(route),
                Fields = [.. ReadFields(route, "headers", FieldSource.Header), .. ReadFields(route, "query", FieldSource.Query), .. ReadFields(route, "cookies", FieldSource.Cookie)],
            });
            if (rule is { PathPrefix: not null, PathExact: not null })
            {
                mistakes.Error(route.FindKey("pathExact")!, $"{route.Name} has both 'path' and 'pathExact'; the whole path needs no beginning, so write one");
            }

            if (right.Find(r => Covers(r.Rule, rule)) is { Number: > 0 } before)
            {
                var which = before.Rule is { Host: null, PathPrefix: null or "/", PathExact: null } ? "a route before it takes everything" : $"route {before.Number} takes everything that it would";
                mistakes.Warning(node, $"{route.Name} is never reached; {which}");
            }

            rules.Add(rule);
            if (mistakes.ErrorCount == errorsBefore)
            {
                // What is wrong with a condition leaves it out, and without it the route would take more than anybody wants.
                right.Add((number, rule));
            }
        }

        return rules;
    }

    /// <summary>Whether a rule takes every request that another one would.</summary>
    private static bool Covers(RouteRule rule, RouteRule other)
    {
        if (rule is { PathRegex: not null } or { Methods.Count: > 0 } or { Fields.Count: > 0 })
        {
            return false;
        }

        var hostCovers = rule.Host is not { } host || (other.Host is { } otherHost && (string.Equals(host.TrimEnd('.'), otherHost.TrimEnd('.'), StringComparison.OrdinalIgnoreCase)
            || (host.StartsWith('*') && otherHost.TrimStart('*').Length > host.Length - 1 && otherHost.EndsWith(host[1..], StringComparison.OrdinalIgnoreCase))));
        var pathCovers = rule.PathExact is { } exact ? other.PathExact == exact
            : rule.PathPrefix is null or "/" || (other.PathExact ?? other.PathPrefix)?.StartsWith(rule.PathPrefix, StringComparison.Ordinal) == true;
        return hostCovers && pathCovers;
    }

    private string? ReadName(Section route, Dictionary<string, int> names)
    {
        if (route.Text("name", "a name") is not { } name)
        {
            return null;
        }

        if (!PoolReader.IsName(name.Text))
        {
            mistakes.Error(name, $"name: '{name.Text}' is not a name; letters, digits, '-', '_' and '.' are allowed, at most {PoolReader.MaxNameLength}");
            return null;
        }

        if (!names.TryAdd(name.Text, name.Line))
        {
            mistakes.Error(name, $"name: the route in line {names[name.Text]} is called '{name.Text}' already");
        }

        return name.Text;
    }

    private string? ReadHost(Section route)
    {
        if (route.Text("host", "a host name like api.example.com") is not { } host)
        {
            return null;
        }

        var name = host.Text.StartsWith("*.", StringComparison.Ordinal) ? host.Text[2..] : host.Text;
        if (HostName.IsValid(name) || (host.Text.StartsWith('[') && host.Text.EndsWith(']') && System.Net.IPAddress.TryParse(host.Text, out _)))
        {
            return host.Text;
        }

        var hint = name.LastIndexOf(':') is var colon and > 0 && HostName.IsValid(name[..colon]) && name[(colon + 1)..].All(char.IsAsciiDigit)
            ? $"; leave out the port: '{host.Text[..^(name.Length - colon)]}'"
            : "; write one like api.example.com, or *.example.com for all below it";
        mistakes.Error(host, $"host: '{host.Text}' is not a host name{hint}");
        return null;
    }

    private string? ReadPath(Section route, string key)
    {
        if (route.Text(key, "a path like /v1/") is not { } path)
        {
            return null;
        }

        if (RoutePath.ProblemOf(path.Text, key) is { } problem)
        {
            mistakes.Error(path, $"{key}: {problem}");
            return null;
        }

        return path.Text;
    }

    private string? ReadPattern(Section route, string key) => route.Text(key, "a regular expression like ^/users/[0-9]+$") is { } text ? Checked(text, text.Text, key) : null;

    /// <summary>The expression, when it can be matched without backtracking.</summary>
    private string? Checked(YamlNode at, string pattern, string key)
    {
        if (pattern.Length > MaxPatternLength)
        {
            mistakes.Error(at, $"{key}: the regular expression has {pattern.Length} characters; at most {MaxPatternLength} are allowed");
            return null;
        }

        try
        {
            _ = new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
            return pattern;
        }
        catch (RegexParseException mistake)
        {
            mistakes.Error(at, $"{key}: '{pattern}' is not a regular expression: it goes wrong at its character {mistake.Offset} ({mistake.Error})");
        }
        catch (Exception mistake) when (mistake is NotSupportedException or ArgumentException)
        {
            mistakes.Error(at, $"{key}: '{pattern}' cannot be matched in linear time; look-around, backreferences, atomic groups and very large repetitions are not allowed");
        }

        return null;
    }

    private List<string> ReadMethods(Section route)
    {
        var methods = new List<string>();
        foreach (var node in route.List("methods", "methods like GET", MaxConditions))
        {
            if (route.TextOf(node, "methods", "a method like GET") is not { } method)
            {
                continue;
            }

            if (method.Text.Length > MaxMethodLength || !method.Text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            {
                mistakes.Error(method, $"methods: '{method.Text}' is not a method; write one like GET");
            }
            else if (method.Text.Any(char.IsAsciiLetterLower))
            {
                mistakes.Error(method, $"methods: '{method.Text}' is matched as it is spelled (RFC 9110 9.1); write {method.Text.ToUpperInvariant()}");
            }

            methods.Add(method.Text);
        }

        return methods;
    }

    private List<FieldCondition> ReadFields(Section route, string key, FieldSource source)
    {
        var fields = new List<FieldCondition>();
        if (route.Find(key) is not { } node)
        {
            return fields;
        }

        if (node is not MappingNode { Entries.Count: > 0 and <= MaxConditions } conditions)
        {
            mistakes.Error(node, $"{key}: expected 1 to {MaxConditions} names with values, like {{ X-Version: v2 }}, found {(node is MappingNode ? "none or too many" : node.Kind)}");
            return fields;
        }

        foreach (var (name, value) in conditions.Entries)
        {
            if (!KeyText.TryParse($"{(source == FieldSource.Cookie ? "cookie" : source == FieldSource.Query ? "query" : "header")}:{name.Text}", out _, out _, out var problem))
            {
                mistakes.Error(name, $"{key}: {problem}");
            }

            if (route.TextOf(value, $"{key}: {name.Text}", "a value, * (any), !* (none), text* (a beginning), ~expression or =text") is { } text
                && MakeField(text, source, name.Text, key) is { } field)
            {
                fields.Add(field);
            }
        }

        return fields;
    }

    /// <summary><c>*</c>, <c>!*</c>, <c>text*</c>, <c>~expression</c>, and everything else, or what follows a <c>=</c>, exactly.</summary>
    private FieldCondition? MakeField(ScalarNode text, FieldSource source, string name, string key)
    {
        switch (text.Text)
        {
            case "*":
                return new FieldCondition(source, name, FieldMatch.Present, "");
            case "!*":
                return new FieldCondition(source, name, FieldMatch.Absent, "");
            case ['~', .. var pattern]:
                return Checked(text, pattern, $"{key}: {name}") is { } good ? new FieldCondition(source, name, FieldMatch.Regex, good) : null;
            case ['!', ..]:
                mistakes.Error(text, $"{key}: {name}: '{text.Text}' is not a condition; '!*' is for what is absent, and a value that starts with '!' is written '={text.Text}'");
                return null;
            case ['=', .. var exact]:
                return new FieldCondition(source, name, FieldMatch.Exact, exact);
            case [.. var prefix, '*']:
                return new FieldCondition(source, name, FieldMatch.Prefix, prefix);
            default:
                return new FieldCondition(source, name, FieldMatch.Exact, text.Text);
        }
    }
}

/// <summary>What may stand as a path in a route.</summary>
internal static class RoutePath
{
    /// <summary>A clause that says what is wrong with a path, or null.</summary>
    public static string? ProblemOf(string path, string key)
    {
        if (path[0] != '/')
        {
            return $"'{path}' does not start with '/'";
        }

        // What can never stand in a request's path would make a route that never matches (RFC 3986 3.3).
        var odd = path.AsSpan().IndexOfAnyExceptInRange('!', '~');
        odd = odd >= 0 ? odd : path.AsSpan().IndexOfAny('?', '#');
        if (odd >= 0)
        {
            var what = path[odd] is '?' or '#' ? $"'{path[odd]}' ends a path" : "percent-encode what is not ASCII or is a blank";
            return $"'{path}' is not {(key == "path" ? "the start of a path" : "a path")}; {what}";
        }

        // Requests with such paths are read in several ways, of which this would be only one.
        string[] severalWays = ["//", "/./", "/../", "\\", ";", "%2f", "%5c", "/%2e"];
        return severalWays.FirstOrDefault(way => path.Contains(way, StringComparison.OrdinalIgnoreCase)) is { } found
            ? $"'{path}' has '{found}', which servers read in different ways, so requests for it are refused; write the path without it"
            : null;
    }
}
