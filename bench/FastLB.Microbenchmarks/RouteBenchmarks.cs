using System.Text;
using BenchmarkDotNet.Attributes;
using FastLB.Core.Http;
using FastLB.Core.Routing;

namespace FastLB.Microbenchmarks;

/// <summary>How long does it take to find the route of a request, and does that depend on how many routes there are?</summary>
[MemoryDiagnoser]
public class RouteBenchmarks
{
    private readonly Asked _last;
    private readonly Asked _miss;
    private readonly Asked _odd;
    private readonly Asked _pattern;
    private RouteTable _table;
    private readonly RouteTable _patterns = new(
        [new RouteRule(null, null, "a") { PathRegex = "^/v[0-9]+/(articles|pictures)/[0-9]+$" }, new RouteRule(null, "/", "b")]);

    public RouteBenchmarks()
    {
        _table = TableOf(100);
        _last = new Asked("www.host9.example.com", "/v9/articles?page=2");
        _miss = new Asked("www.elsewhere.example.org", "/v9/articles?page=2");
        _odd = new Asked("www.host9.example.com", "/v9/./articles/a%20b/../c?page=2");
        _pattern = new Asked("www.host9.example.com", "/v9/articles/4711");
    }

    /// <summary>One, ten or a hundred: ten hosts, half of them with all names below, and for each of them up to ten paths.</summary>
    [Params(1, 10, 100)]
    public int Routes
    {
        get => _table.Rules.Count;
        set => _table = TableOf(value);
    }

    /// <summary>The last route, whatever that is.</summary>
    [Benchmark(Baseline = true)]
    public int Last() => _last.In(_table);

    [Benchmark]
    public int Miss() => _miss.In(_table);

    /// <summary>A path that can be read in several ways.</summary>
    [Benchmark]
    public int OddPath() => _odd.In(_table);

    [Benchmark]
    public int RegularExpression() => _pattern.In(_patterns);

    private static RouteTable TableOf(int routes)
    {
        var hosts = Math.Min(routes, 10);
        return new RouteTable(Enumerable.Range(0, routes).Select(i =>
        {
            var host = 10 - hosts + (i % hosts);
            return new RouteRule(host % 2 == 0 ? $"www.host{host}.example.com" : $"*.host{host}.example.com", i >= routes - hosts ? "/v9/" : $"/v{i / hosts}/", "app");
        }));
    }

    private sealed class Asked
    {
        private readonly byte[] _bytes;
        private readonly MessageHead _head = new();
        private readonly RequestFacts _facts;

        public Asked(string host, string target)
        {
            _bytes = Encoding.ASCII.GetBytes($"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            RequestParser.Parse(_bytes, 0, HttpLimits.Default, _head, out _);
            RequestRules.Check(_bytes, _head, HttpLimits.Default, out _facts);
        }

        public int In(RouteTable table) => table.Match(_bytes, _head, _facts);
    }
}
