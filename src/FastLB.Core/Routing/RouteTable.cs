using System.Text;

namespace FastLB.Core.Routing;

/// <summary>A listener's routes, compiled: the first rule whose host and path match names the pool. Immutable, shared by all loops.</summary>
public sealed class RouteTable
{
    private readonly Entry[] _entries;

    /// <param name="rules">In order; the first that matches wins.</param>
    /// <param name="poolIndex">The number of a pool by its name.</param>
    public RouteTable(IEnumerable<RouteRule> rules, Func<string, int> poolIndex)
    {
        _entries = [.. rules.Select(r => new Entry(r, poolIndex(r.PoolName)))];
    }

    /// <summary>The number of the pool that answers, or -1 when no rule matches.</summary>
    /// <param name="host">As the client sent it, without its port.</param>
    /// <param name="path">The path with its query.</param>
    public int Match(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path) => Match(host, path, out _);

    /// <summary>The same, with the number of the rule; -1 when none matches.</summary>
    public int Match(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path, out int rule)
    {
        for (rule = 0; rule < _entries.Length; rule++)
        {
            if (_entries[rule].Matches(host, path))
            {
                return _entries[rule].Pool;
            }
        }

        rule = -1;
        return -1;
    }

    private readonly struct Entry(RouteRule rule, int pool)
    {
        private readonly byte[]? _host = rule.Host is null ? null : Encoding.ASCII.GetBytes(rule.Host.TrimStart('*'));
        private readonly bool _isWildcard = rule.Host?.StartsWith("*.", StringComparison.Ordinal) == true;
        private readonly byte[]? _prefix = rule.PathPrefix is null ? null : Encoding.UTF8.GetBytes(rule.PathPrefix);

        public int Pool { get; } = pool;

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
