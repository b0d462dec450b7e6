using System.Text;
using FastLB.Core.Http;
using FastLB.Core.Routing;

namespace FastLB.Tests.Routes;

/// <summary>A request as a client sends it, and what a table makes of it.</summary>
internal static class RouteProbe
{
    public const string None = "none";

    /// <summary>The rule's number.</summary>
    public static int Find(RouteTable table, string method, string host, string target, string lines = "")
    {
        var hostLine = host.Length == 0 ? "" : $"Host: {host}\r\n";
        var bytes = Encoding.Latin1.GetBytes($"{method} {target} HTTP/1.{(host.Length == 0 ? 0 : 1)}\r\n{hostLine}{lines}\r\n");
        var head = new MessageHead();
        Assert.Equal(ParseStatus.Done, RequestParser.Parse(bytes, 0, HttpLimits.Default, head, out var refusal));
        Assert.Equal(Refusal.None, refusal);
        Assert.Equal(Refusal.None, RequestRules.Check(bytes, head, HttpLimits.Default, out var facts));
        return table.Match(bytes, head, facts);
    }

    public static int Get(RouteTable table, string target, string lines = "", string host = "a.test") => Find(table, "GET", host, target, lines);
}
