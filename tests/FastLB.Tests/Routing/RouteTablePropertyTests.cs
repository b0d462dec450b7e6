using FastLB.Core.Routing;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Routes;

/// <summary>The compiled table answers what going through the rules one by one answers, for random tables and requests.</summary>
public sealed class RouteTablePropertyTests
{
    private static readonly string?[] s_hosts =
        [null, null, "a.test", "b.test", "A.b.test", "*.test", "*.b.test", "*.a.b.test", "test", "x.y.z.b.test", "*.long-enough-for-eight.test"];

    private static readonly string?[] s_asked =
        ["a.test", "A.TEST.", "b.test", "a.b.test", "c.a.b.test", "x.y.z.b.test", "test", "other", "y.long-enough-for-eight.test", "TEST", "x.a.b.test"];

    private static readonly string[] s_pieces =
        ["/", "/a", "/ab", "/abc", "/b/", "a", "b", "%61", "%2F", "%2f", "/..", "/.", "/%2e%2e", "//", ";x", "\\", "%5c", "%", "%20", "%zz", "/a;/", "%252f", "%255C"];

    [Fact]
    public void The_table_answers_what_the_rules_say_one_by_one()
    {
        var config = Config.QuickThrowOnFailure.WithMaxTest(4_000);
        var tables = from count in Gen.Choose(1, 24) from rules in RuleGen().ListOf(count) select rules.ToArray();
        var requests = (from host in Gen.Elements(s_asked) from path in PathGen(0, 6) from method in Gen.Elements("GET", "POST", "PURGE") select (host!, path, method)).ListOf(24);
        Prop.ForAll(tables.Zip(requests).ToArbitrary(), both =>
        {
            var (rules, asked) = both;
            var table = new RouteTable(rules);
            foreach (var (host, path, method) in asked)
            {
                var expected = RouteReference.Find(rules, method, host, path);
                var found = RouteProbe.Find(table, method, host, path);
                Assert.True(expected == found, $"{method} {host} {path}: {found} instead of {expected} of\n{string.Join('\n', rules.Select(r => r.ToString()))}");
            }
        }).Check(config);
    }

    private static Gen<RouteRule> RuleGen() =>
        from host in Gen.Elements(s_hosts)
        from kind in Gen.Choose(0, 4)
        from path in PathGen(0, 3)
        from hasMethods in Gen.Choose(0, 3)
        select new RouteRule(host, kind is 1 or 2 or 3 ? path : null, "p")
        {
            PathExact = kind == 4 ? path : null,
            Methods = hasMethods == 0 ? ["GET", "PURGE"] : [],
        };

    private static Gen<string> PathGen(int least, int most) =>
        from count in Gen.Choose(least, most) from pieces in Gen.Elements(s_pieces).ListOf(count) select "/" + string.Concat(pieces);
}
