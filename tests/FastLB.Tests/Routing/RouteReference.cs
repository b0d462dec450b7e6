using System.Text;
using FastLB.Core.Routing;

namespace FastLB.Tests.Routes;

/// <summary>What the table has to answer, in the plainest way: each rule in order, each reading of the path, with strings and lists.</summary>
internal static class RouteReference
{
    public static int Find(IReadOnlyList<RouteRule> rules, string method, string host, string path)
    {
        var name = host.TrimEnd('.').ToLowerInvariant();
        var hasPaths = rules.Any(r => r.PathPrefix is not null || r.PathExact is not null);
        if (hasPaths && Decode(path).Any(c => c is < (char)0x20 or (char)0x7F))
        {
            return RouteTable.Ambiguous;
        }

        int[] found = [.. (hasPaths ? Readings(path) : [path]).Select(p => First(rules, method, name, p)).Distinct()];
        return found.Length == 1 ? found[0] : RouteTable.Ambiguous;
    }

    private static int First(IReadOnlyList<RouteRule> rules, string method, string host, string path)
    {
        for (var i = 0; i < rules.Count; i++)
        {
            var rule = rules[i];
            var hostHolds = rule.Host is null
                || (rule.Host.StartsWith('*') ? host.EndsWith(rule.Host[1..].ToLowerInvariant(), StringComparison.Ordinal) && host.Length > rule.Host.Length - 1
                    : string.Equals(host, rule.Host, StringComparison.OrdinalIgnoreCase));
            if (hostHolds && (rule.PathPrefix is null || path.StartsWith(Decode(rule.PathPrefix), StringComparison.Ordinal))
                && (rule.PathExact is null || path == Decode(rule.PathExact)) && (rule.Methods.Count == 0 || rule.Methods.Contains(method)))
            {
                return i;
            }
        }

        return RouteTable.NoRoute;
    }

    private static IEnumerable<string> Readings(string path)
    {
        var decoded = Decode(path);
        for (var how = 0; how < 16; how++)
        {
            var text = (how & 1) == 0 ? decoded : decoded.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase).Replace("%5C", "/", StringComparison.OrdinalIgnoreCase).Replace('\\', '/');
            var segments = text.Split('/')[1..].ToList();
            if ((how & 4) != 0)
            {
                segments = [.. segments.Select(s => s.Split(';')[0])];
            }

            if ((how & 2) != 0)
            {
                segments = [.. segments.Where((s, i) => s.Length > 0 || i == segments.Count - 1)];
            }

            yield return "/" + string.Join('/', (how & 8) == 0 ? segments : Resolve(segments));
        }
    }

    private static List<string> Resolve(List<string> segments)
    {
        var kept = new List<string>();
        for (var i = 0; i < segments.Count; i++)
        {
            // Some workers decode twice.
            var segment = Decode(segments[i]);
            if (segment is not ("." or ".."))
            {
                kept.Add(segments[i]);
                continue;
            }

            if (segment == ".." && kept.Count > 0)
            {
                kept.RemoveAt(kept.Count - 1);
            }

            if (i == segments.Count - 1)
            {
                kept.Add("");
            }
        }

        return kept;
    }

    private static string Decode(string path)
    {
        var text = new StringBuilder();
        for (var i = 0; i < path.Length; i++)
        {
            if (path[i] == '%' && i + 2 < path.Length && char.IsAsciiHexDigit(path[i + 1]) && char.IsAsciiHexDigit(path[i + 2]))
            {
                var value = (char)Convert.ToInt32(path.Substring(i + 1, 2), 16);
                text.Append(value is '/' ? "%2F" : value is '\\' ? "%5C" : value.ToString());
                i += 2;
            }
            else
            {
                text.Append(path[i]);
            }
        }

        return text.ToString();
    }
}
