using FastLB.Core.Routing;

namespace FastLB.Tests.Routes;

/// <summary>Which route a request takes.</summary>
public sealed class RouteTableTests
{
    [Theory]
    [InlineData("api.example.com", "/v1/x", 0)]
    [InlineData("API.Example.COM", "/v1/x", 0)]
    [InlineData("api.example.com:8443", "/v1/x", 0)]
    [InlineData("api.example.com.", "/v1/x", 0)]
    [InlineData("api.example.com.:80", "/v1/", 0)]
    [InlineData("api.example.com", "/v10", 2)]
    [InlineData("a.b.example.com", "/", 2)]
    [InlineData("A.Example.COM.", "/", 2)]
    [InlineData("example.com", "/", 3)]
    [InlineData("evil-example.com", "/", 3)]
    [InlineData("[::1]", "/", 1)]
    [InlineData("[::1]:80", "/", 1)]
    [InlineData("", "/", 3)]
    public void The_first_route_that_matches_wins(string host, string path, int rule)
    {
        var table = new RouteTable(
            [new("api.example.com", "/v1/", "0"), new("[::1]", null, "1"), new("*.example.com", "/", "2"), new(null, "/", "3")]);
        Assert.Equal(rule, RouteProbe.Find(table, "GET", host, path));
    }

    [Fact]
    public void The_server_itself_is_below_no_path()
    {
        var table = new RouteTable([new(null, "/", "0")]);
        Assert.Equal(RouteTable.NoRoute, RouteProbe.Find(table, "OPTIONS", "example.com", "*"));
        Assert.Equal(0, RouteProbe.Find(table, "OPTIONS", "example.com", "/"));
        Assert.Equal(0, RouteProbe.Find(table, "GET", "example.com", "http://example.com"));
    }

    [Fact]
    public void A_route_further_up_wins_however_general_it_is()
    {
        var table = new RouteTable(
            [new(null, "/shared/", "0"), new("*.test", "/", "1"), new("a.test", "/", "2"), new("a.b.test", "/x/y/", "3")]);
        Assert.Equal(0, RouteProbe.Get(table, "/shared/x"));
        Assert.Equal(1, RouteProbe.Get(table, "/x"));
        Assert.Equal(1, RouteProbe.Get(table, "/x/y/z", host: "a.b.test"));
    }

    [Theory]
    [InlineData("/exact", 0)]
    [InlineData("/exact?a=b", 0)]
    [InlineData("/exact/", 2)]
    [InlineData("/exac", 2)]
    [InlineData("/user/42", 1)]
    [InlineData("/user/42?x", 1)]
    [InlineData("/user/42x", 2)]
    [InlineData("/user/%34%32", 1)]
    [InlineData("/", 2)]
    public void Whole_paths_and_regular_expressions_do_not_see_the_query(string target, int rule)
    {
        var table = new RouteTable(
            [new(null, null, "0") { PathExact = "/exact" }, new(null, null, "1") { PathRegex = "^/user/[0-9]+$" }, new(null, "/", "2")]);
        Assert.Equal(rule, RouteProbe.Get(table, target));
    }

    [Theory]
    [InlineData("GET", 0)]
    [InlineData("PURGE", 0)]
    [InlineData("HEAD", 1)]
    [InlineData("purge", 1)]
    [InlineData("BAN", 1)]
    public void Methods_are_compared_as_they_are_spelled(string method, int rule)
    {
        var table = new RouteTable([new(null, "/", "0") { Methods = ["GET", "PURGE"] }, new(null, "/", "1")]);
        Assert.Equal(rule, RouteProbe.Find(table, method, "a", "/"));
    }

    [Theory]
    [InlineData(FieldMatch.Exact, "v2", "X-Version: v2\r\n", true)]
    [InlineData(FieldMatch.Exact, "v2", "x-version:   v2  \r\n", true)]
    [InlineData(FieldMatch.Exact, "v2", "X-Version: v1\r\nX-Version: v2\r\n", true)]
    [InlineData(FieldMatch.Exact, "v2", "X-Version: v20\r\n", false)]
    [InlineData(FieldMatch.Exact, "v2", "X-Version: V2\r\n", false)]
    [InlineData(FieldMatch.Exact, "v2", "X-Versions: v2\r\n", false)]
    [InlineData(FieldMatch.Prefix, "v2", "X-Version: v20\r\n", true)]
    [InlineData(FieldMatch.Prefix, "v2", "X-Version: 2\r\n", false)]
    [InlineData(FieldMatch.Present, "", "X-Version:\r\n", true)]
    [InlineData(FieldMatch.Present, "", "", false)]
    [InlineData(FieldMatch.Absent, "", "", true)]
    [InlineData(FieldMatch.Absent, "", "X-Version:\r\n", false)]
    [InlineData(FieldMatch.Regex, "^v[23]$", "X-Version: v3\r\n", true)]
    [InlineData(FieldMatch.Regex, "^v[23]$", "X-Version: v33\r\n", false)]
    public void A_header_is_compared_as_the_condition_says(FieldMatch match, string text, string lines, bool holds) =>
        Assert.Equal(holds ? 0 : 1, RouteProbe.Get(On(FieldSource.Header, "X-Version", match, text), "/", lines));

    [Theory]
    [InlineData(FieldMatch.Exact, "b", "Cookie: ab=b\r\n", true)]
    [InlineData(FieldMatch.Exact, "b", "Cookie: x=1; ab=b\r\n", true)]
    [InlineData(FieldMatch.Exact, "b", "Cookie: x=1\r\nCookie: ab=b\r\n", true)]
    [InlineData(FieldMatch.Exact, "b", "Cookie: AB=b\r\n", false)]
    [InlineData(FieldMatch.Exact, "b", "Cookie: xab=b\r\n", false)]
    [InlineData(FieldMatch.Absent, "", "Cookie: x=1\r\n", true)]
    [InlineData(FieldMatch.Absent, "", "Cookie: ab=\r\n", false)]
    public void A_cookie_is_compared_as_the_condition_says(FieldMatch match, string text, string lines, bool holds) =>
        Assert.Equal(holds ? 0 : 1, RouteProbe.Get(On(FieldSource.Cookie, "ab", match, text), "/", lines));

    [Theory]
    [InlineData(FieldMatch.Exact, "1", "/?beta=1", true)]
    [InlineData(FieldMatch.Exact, "1", "/?a=b&beta=1", true)]
    [InlineData(FieldMatch.Exact, "1", "/?beta=0&beta=1", true)]
    [InlineData(FieldMatch.Exact, "1", "/?b%65ta=%31", true)]
    [InlineData(FieldMatch.Exact, "1", "/?beta=10", false)]
    [InlineData(FieldMatch.Exact, "1", "/?betas=1", false)]
    [InlineData(FieldMatch.Exact, "1", "/beta=1", false)]
    [InlineData(FieldMatch.Exact, "a b", "/?beta=a+b", true)]
    [InlineData(FieldMatch.Exact, "a b", "/?beta=a%20b", true)]
    [InlineData(FieldMatch.Present, "", "/?beta", true)]
    [InlineData(FieldMatch.Present, "", "/?beta=", true)]
    [InlineData(FieldMatch.Absent, "", "/?bet=", true)]
    [InlineData(FieldMatch.Absent, "", "/?%62eta", false)]
    public void A_query_parameter_is_compared_as_a_worker_reads_it(FieldMatch match, string text, string target, bool holds) =>
        Assert.Equal(holds ? 0 : 1, RouteProbe.Get(On(FieldSource.Query, "beta", match, text), target));

    [Fact]
    public void All_conditions_have_to_hold()
    {
        var table = new RouteTable(
        [
            new("a.test", "/v1/", "0")
            {
                Methods = ["GET"],
                Fields = [new(FieldSource.Header, "X-A", FieldMatch.Exact, "1"), new(FieldSource.Query, "q", FieldMatch.Present, ""), new(FieldSource.Cookie, "c", FieldMatch.Exact, "2")],
            },
        ]);
        Assert.Equal(0, RouteProbe.Get(table, "/v1/?q", "X-A: 1\r\nCookie: c=2\r\n"));
        Assert.Equal(-1, RouteProbe.Get(table, "/v1/?q", "X-A: 1\r\nCookie: c=2\r\n", "b.test"));
        Assert.Equal(-1, RouteProbe.Get(table, "/v2/?q", "X-A: 1\r\nCookie: c=2\r\n"));
        Assert.Equal(-1, RouteProbe.Get(table, "/v1/", "X-A: 1\r\nCookie: c=2\r\n"));
        Assert.Equal(-1, RouteProbe.Get(table, "/v1/?q", "X-A: 2\r\nCookie: c=2\r\n"));
        Assert.Equal(-1, RouteProbe.Get(table, "/v1/?q", "X-A: 1\r\nCookie: c=1\r\n"));
        Assert.Equal(-1, RouteProbe.Find(table, "POST", "a.test", "/v1/?q", "X-A: 1\r\nCookie: c=2\r\n"));
    }

    /// <summary>What a worker may act on as /admin/ does not get past the route for it, however it is written; everybody else's paths pass.</summary>
    [Theory]
    [InlineData("/admin/", 0)]
    [InlineData("/admin/x", 0)]
    [InlineData("/%61dmin/", 0)]
    [InlineData("/%61%64%6D%69%6e/x", 0)]
    [InlineData("/admin/./x", 0)]
    [InlineData("/admin/a%2Fb", 0)]
    [InlineData("/x/../admin/", -2)]
    [InlineData("/x/%2e%2e/admin/", -2)]
    [InlineData("/x/%2E./admin/", -2)]
    [InlineData("/x/..%2fadmin/", -2)]
    [InlineData("/x%2f..%2fadmin/", -2)]
    [InlineData("/./admin/", -2)]
    [InlineData("/../admin/", -2)]
    [InlineData("//admin/", -2)]
    [InlineData("/%2Fadmin/", -2)]
    [InlineData("/admin%2f", -2)]
    [InlineData("/admin/a%0Ab", -2)]
    [InlineData("/admin%00", -2)]
    [InlineData("/x%7F", -2)]
    [InlineData("/x/%252e%252e/admin/", -2)]
    [InlineData("/admin%2fx", -2)]
    [InlineData("/admin%5cx", -2)]
    [InlineData("/admin\\x", -2)]
    [InlineData("/\\admin/", -2)]
    [InlineData("/x/..;/admin/", -2)]
    [InlineData("/;x/admin/", -2)]
    [InlineData("/admin;x=1/", -2)]
    [InlineData("/admin/../", -2)]
    [InlineData("/admin/..;/x", -2)]
    [InlineData("/%61dmin%2F/..", -2)]
    [InlineData("/admin%252f", -2)]
    [InlineData("/x/..", 1)]
    [InlineData("/x/../y//z/./a%20b;c=d%2Fe", 1)]
    [InlineData("/.well-known/acme-challenge/x", 1)]
    [InlineData("/a..b/...", 1)]
    [InlineData("/100%/x%zz", 1)]
    [InlineData("/x?/../admin/", 1)]
    [InlineData("/administrator", 1)]
    public void A_path_that_could_mean_two_routes_takes_neither(string target, int rule)
    {
        var table = new RouteTable([new(null, "/admin/", "0"), new(null, "/", "1")]);
        Assert.Equal(rule, RouteProbe.Get(table, target));
    }

    [Fact]
    public void Where_no_route_looks_at_the_path_every_path_passes()
    {
        var table = new RouteTable([new("a.test", null, "0") { Methods = ["GET"] }]);
        Assert.Equal(0, RouteProbe.Get(table, "/x/..%2f;/\\//"));
    }

    [Fact]
    public void An_expression_over_a_long_path_takes_time_that_grows_with_its_length_only()
    {
        // Backtracking takes 2^28 steps for this one.
        var table = new RouteTable([new(null, null, "0") { PathRegex = "^/(a+)+$" }, new(null, "/", "1")]);
        Assert.Equal(1, RouteProbe.Get(table, $"/{new string('a', 28)}!"));
        Assert.Equal(0, RouteProbe.Get(table, $"/{new string('a', 8_000)}"));
        Assert.Equal(1, RouteProbe.Get(table, $"/{new string('a', 8_000)}!"));
    }

    private static RouteTable On(FieldSource source, string name, FieldMatch match, string text) =>
        new([new(null, "/", "0") { Fields = [new(source, name, match, text)] }, new(null, "/", "1")]);
}
