using System.Text;

namespace FastLB.Core.Routing;

/// <summary>A listener's routes, compiled: the first rule whose conditions hold wins. Immutable, shared by all loops.</summary>
public sealed class RouteTable
{
    private readonly Entry[] _entries;

    /// <param name="rules">In order; the first that matches wins.</param>
    public RouteTable(IEnumerable<RouteRule> rules)
    {
        Rules = [.. rules];
        _entries = [.. Rules.Select(r => new Entry(r))];
    }

    /// <summary>What it was made of.</summary>
    public IReadOnlyList<RouteRule> Rules { get; }

    /// <summary>The number of the rule, from 0, or -1 when none matches.</summary>
    /// <param name="host">As the client sent it, without its port.</param>
    /// <param name="path">The path with its query.</param>
    public int Match(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path)
    {
        for (var rule = 0; rule < _entries.Length; rule++)
        {
            if (_entries[rule].Matches(host, path))
            {
                return rule;
            }
        }

        return -1;
    }

    private readonly struct Entry(RouteRule rule)
    {
        private readonly byte[]? _host = rule.Host is null ? null : Encoding.ASCII.GetBytes(rule.Host.TrimStart('*'));
        private readonly bool _isWildcard = rule.Host?.StartsWith("*.", StringComparison.Ordinal) == true;
        private readonly byte[]? _prefix = rule.PathPrefix is null ? null : Encoding.UTF8.GetBytes(rule.PathPrefix);

        public bool Matches(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path)
        {
            if (_prefix is not null && !path.StartsWith(_prefix))
            {
                return false;
            }

            if (_host is null)
            {
                return true;
            }

            if (_isWildcard)
            {
                return host.Length > _host.Length && Ascii.EqualsIgnoreCase(host[^_host.Length..], _host);
            }

            return Ascii.EqualsIgnoreCase(host, _host);
        }
    }
}
