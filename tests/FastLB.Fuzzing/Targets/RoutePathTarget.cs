using System.Text;
using FastLB.Core.Loop;
using FastLB.Core.Routing;
using FastLB.Tests.Routes;

namespace FastLB.Fuzzing.Targets;

/// <summary>The path of a request, in all the ways in which a worker may read it, and the route that it leads to.</summary>
internal sealed class RoutePathTarget : FuzzTarget
{
    private static readonly RouteRule[] s_rules =
    [
        new(null, "/admin/", "p"), new("*.b.test", "/a", "p"), new(null, null, "p") { PathExact = "/a/b" }, new(null, "/public/", "p"), new(null, "/a/b/c/", "p"),
        new("a.test", "/%61%2fx/", "p"), new(null, "/a;b/", "p"), new(null, null, "p") { PathExact = "/" }, new(null, "/x\\y", "p"), new("a.test", "/a", "p"), new(null, "/public/a", "p") { Methods = ["PUT"] }, new(null, null, "p"),
    ];

    private readonly RouteTable _table = new(s_rules);

    public override string Name => "route-path";

    public override int MaxBytes => 400;

    public override IReadOnlyList<byte[]> Fragments { get; } =
        [.. new[] { "/", "//", "/..", "/.", "/../", "%2f", "%2F", "%5c", "\\", "%2e", "%2e%2e", ";x", ";", "%3b", "%25", "%252f", "%252e", "%2500", "%61", "%", "%zz", "/admin", "admin/", "/a", "/b", "/public/", "/c", "?", "%3f", "%00", "%ff" }.Select(Encoding.Latin1.GetBytes)];

    public override byte[] Generate(RandomSource chance) =>
        [(byte)chance.Next(3), .. Enumerable.Range(0, 1 + chance.Next(6)).SelectMany(_ => Fragments[chance.Next(Fragments.Count)])];

    public override ulong Run(byte[] input)
    {
        if (input.Length == 0)
        {
            return 0;
        }

        // What no request target may have is not the routes' business.
        string[] hosts = ["a.test", "x.b.test", "other"];
        var host = hosts[input[0] % 3];
        var target = "/" + Encoding.Latin1.GetString([.. input[1..].Where(b => b is > 0x20 and < 0x7F and not (byte)'#')]);
        var found = RouteProbe.Find(_table, "GET", host, target);
        Agree(RouteReference.Find(s_rules, "GET", host, target.Split('?')[0]), found, $"the route of {target} at {host}");
        Accepted += found >= 0 ? 1 : 0;
        var isPlain = PathReadings.IsPlain(Encoding.Latin1.GetBytes(target));
        return Signal.Of(found, input[0] % 3, isPlain ? 1 : 0, Signal.Bucket(target.Length), target.Contains('?', StringComparison.Ordinal) ? 1 : 0, target.Contains(';', StringComparison.Ordinal) ? 1 : 0, target.Contains("..", StringComparison.Ordinal) ? 1 : 0);
    }
}
