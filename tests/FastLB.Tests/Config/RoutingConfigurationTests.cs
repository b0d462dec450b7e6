using FastLB.Configuration;
using FastLB.Core.Http;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary>Routes in the file: right values arrive, wrong ones are told with their place, and two readings are equal.</summary>
public sealed class RoutingConfigurationTests
{
    private const string Text =
        """
        pools: { app: { workers: [127.0.0.1:9001] } }
        listeners:
          - bind: 127.0.0.1:8000
            routes:
              - name: api
                host: "*.example.com"
                path: /v1/
                pathRegex: "[0-9]"
                methods: [GET, PURGE]
                headers: { X-A: v2, X-B: "*", X-C: "!*", X-D: v*, X-E: "~^v[0-9]$", X-F: "=*" }
                query: { beta: "1" }
                cookies: { ab: b }
                pool: app
                maintenance: { on: false, body: soon, retryAfter: 2m, headers: { X-M: m } }
                timeouts: { connect: 1s, response: 2s, queue: 3s, tunnel: 4s, body: 5s }
                retries: { attempts: 3 }
                limits: { body: 1MB }
                requestHeaders: { set: { X-R: "{host}" }, add: { X-S: s }, remove: [X-T] }
                responseHeaders: { set: { X-W: "{worker}" } }
                rewrite: { stripPrefix: /v1, addPrefix: /v2, host: "internal:81" }
              - { pathExact: /old, redirect: { to: "https://new.test{path}{query}", status: 308 } }
              - { path: /a, redirect: "https://{host}/b" }
              - { path: /robots, answer: { status: 410, body: gone, contentType: text/html, headers: { X-H: h } } }
              - { path: /closed, maintenance: true }
              - { pool: app }

        """;

    [Fact]
    public void Every_value_arrives()
    {
        var result = ConfigurationSample.Read(Text);
        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        var routes = result.Settings!.Listeners[0].Routes;
        var api = new RouteRule("*.example.com", "/v1/", "app")
        {
            Name = "api",
            PathRegex = "[0-9]",
            Methods = ["GET", "PURGE"],
            Fields =
            [
                new(FieldSource.Header, "X-A", FieldMatch.Exact, "v2"), new(FieldSource.Header, "X-B", FieldMatch.Present, ""), new(FieldSource.Header, "X-C", FieldMatch.Absent, ""),
                new(FieldSource.Header, "X-D", FieldMatch.Prefix, "v"), new(FieldSource.Header, "X-E", FieldMatch.Regex, "^v[0-9]$"), new(FieldSource.Header, "X-F", FieldMatch.Exact, "*"),
                new(FieldSource.Query, "beta", FieldMatch.Exact, "1"), new(FieldSource.Cookie, "ab", FieldMatch.Exact, "b"),
            ],
            Maintenance = new MaintenanceSettings(
                false, new AnswerSettings { Status = 503, Body = "soon"u8.ToArray(), Headers = [new("X-M", "m"), new("Retry-After", "120")] }),
            Timeouts = new RouteTimeouts { ConnectMs = 1_000, ResponseMs = 2_000, QueueMs = 3_000, TunnelMs = 4_000, BodyMs = 5_000 },
            Retries = new RetrySettings { Attempts = 3 },
            MaxBodyBytes = 1 << 20,
            RequestHeaders = new HeaderChangeSettings { Set = [new("X-R", "{host}")], Add = [new("X-S", "s")], Remove = ["X-T"] },
            ResponseHeaders = new HeaderChangeSettings { Set = [new("X-W", "{worker}")] },
            Rewrite = new RewriteSettings { StripPrefix = "/v1", AddPrefix = "/v2", Host = "internal:81" },
        };
        Assert.Equal(api, routes[0]);
        Assert.Equal(new RouteRule(null, null, "") { PathExact = "/old", Redirect = new RedirectSettings("https://new.test{path}{query}", 308) }, routes[1]);
        Assert.Equal(new RouteRule(null, "/a", "") { Redirect = new RedirectSettings("https://{host}/b", 302) }, routes[2]);
        Assert.Equal(
            new RouteRule(null, "/robots", "") { Answer = new AnswerSettings { Status = 410, Body = "gone"u8.ToArray(), ContentType = "text/html", Headers = [new("X-H", "h")] } }, routes[3]);
        Assert.Equal(new RouteRule(null, "/closed", "") { Maintenance = new MaintenanceSettings(true, Route.DefaultMaintenance) }, routes[4]);
        Assert.Equal(new RouteRule(null, null, "app"), routes[5]);
    }

    [Fact]
    public void The_same_file_read_twice_gives_equal_routes_and_another_file_others()
    {
        var first = ConfigurationSample.Read(Text).Settings!.Listeners[0];
        Assert.Equal(first, ConfigurationSample.Read(Text).Settings!.Listeners[0]);
        foreach (var (right, other) in ((string, string)[])[("body: gone", "body: gone2"), ("[GET, PURGE]", "[GET, PUT]"), ("X-D: v*", "X-D: w*"), ("remove: [X-T]", "remove: [X-U]")])
        {
            Assert.NotEqual(first, ConfigurationSample.Read(Text.Replace(right, other, StringComparison.Ordinal)).Settings!.Listeners[0]);
        }
    }

    [Theory]
    [InlineData("path: /v1/", "path: /v1/../x", "7:15: path: '/v1/../x' has '/../', which servers read in different ways")]
    [InlineData("path: /v1/", "path: /a%2Fb", "7:15: path: '/a%2Fb' has '%2f', which servers read")]
    [InlineData("pathExact: /old", "pathExact: old", "21:22: pathExact: 'old' does not start with '/'")]
    [InlineData("pathExact: /old", "pathExact: /old, path: /o", "21:11: route 2 of listener 127.0.0.1:8000 has both 'path' and 'pathExact'")]
    [InlineData("\"[0-9]\"", "\"[0-9\"", "8:20: pathRegex: '[0-9' is not a regular expression: it goes wrong at its character 4")]
    [InlineData("\"[0-9]\"", "\"(a)\\\\1\"", "8:20: pathRegex: '(a)\\1' cannot be matched in linear time")]
    [InlineData("~^v[0-9]$", "~(?=x)", "10:64: headers: X-E: '(?=x)' cannot be matched in linear time")]
    [InlineData("X-C: \"!*\"", "X-C: \"!v\"", "10:44: headers: X-C: '!v' is not a condition; '!*' is for what is absent")]
    [InlineData("X-A: v2", "\"X A\": v2", "10:20: headers: 'X A' is not the name of a header")]
    [InlineData("query: { beta: \"1\" }", "query: [beta]", "11:16: query: expected 1 to 32 names with values")]
    [InlineData("[GET, PURGE]", "[get]", "9:19: methods: 'get' is matched as it is spelled (RFC 9110 9.1); write GET")]
    [InlineData("name: api", "name: a b", "5:15: name: 'a b' is not a name")]
    [InlineData("{ path: /closed,", "{ name: api, path: /closed,", "24:17: name: the route in line 5 is called 'api' already")]
    [InlineData("pool: app }", "pool: app, redirect: /x }", "25:22: route 6 of listener 127.0.0.1:8000 has 'pool' and 'redirect'; one of them answers")]
    [InlineData("https://new.test{path}", "{path}", "21:44: to: '{path}{query}' could lead to any host")]
    [InlineData("https://new.test{path}", "//{path}", "21:44: to: '//{path}{query}' could lead to any host")]
    [InlineData("https://new.test{path}", "/{path}", "21:44: to: '/{path}{query}' could lead to any host")]
    [InlineData("https://new.test{path}", "https://{path}", "21:44: to: 'https://{path}{query}' names no host")]
    [InlineData("https://new.test{path}", "https://new.test{pat}", "21:44: to: there is no '{pat}' here; did you mean '{path}'?")]
    [InlineData("status: 308", "status: 300", "21:85: status: expected 301 or 302 or 303 or 307 or 308, found '300'")]
    [InlineData("body: gone,", "body: gone, file: x,", "23:61: answer of route 4 of listener 127.0.0.1:8000 has both 'body' and 'file'; write one")]
    [InlineData("body: gone,", "file: /nowhere/at/all,", "23:55: file: /nowhere/at/all cannot be read")]
    [InlineData("X-H: h", "Content-Length: 5", "23:96: headers: Content-Length cannot be changed: it says how the message or the connection ends")]
    [InlineData("maintenance: true", "maintenance: maybe", "24:39: maintenance: expected true, false or keys")]
    [InlineData("set: { X-R: \"{host}\" }", "set: { Host: x }", "18:34: set: Host cannot be changed: write rewrite: { host: ... } in the route")]
    [InlineData("set: { X-R: \"{host}\" }", "set: { x-forwarded-for: x }", "18:34: set: x-forwarded-for cannot be changed: FastLB writes it itself")]
    [InlineData("remove: [X-T]", "remove: [Transfer_Encoding]", "18:77: remove: Transfer_Encoding cannot be changed")]
    [InlineData("\"{host}\"", "\"{hots}\"", "18:39: set: X-R: there is no '{hots}' here; did you mean '{host}'?")]
    [InlineData("\"{host}\"", "\"{worker}\"", "18:39: set: X-R: '{worker}' is not known yet when a request's headers are written")]
    [InlineData("\"{host}\"", "\"{host\"", "18:39: set: X-R: a '{' is never closed")]
    [InlineData("\"{host}\"", "\"a\\r\\nb\"", "18:39: set: X-R: a value has at most 4096 characters, all of them printable ASCII")]
    [InlineData("stripPrefix: /v1", "stripPrefix: v1", "20:33: stripPrefix: 'v1' does not start with '/'")]
    [InlineData("\"internal:81\"", "\"internal/x\"", "20:60: host: 'internal/x' is not a host with an optional port")]
    [InlineData("attempts: 3", "budget: 3%", "16:20: 'budget' has no meaning in retries of route 1")]
    [InlineData("connect: 1s,", "head: 1s,", "15:21: unknown key 'head' in timeouts of route 1 of listener 127.0.0.1:8000")]
    [InlineData("maintenance: true", "maintenance: true, rewrite: { host: a }", "24:45: 'rewrite' has no meaning in route 5 of listener 127.0.0.1:8000, where no pool answers")]
    public void A_mistake_is_told_with_its_place(string right, string wrong, string expected)
    {
        Assert.Contains(right, Text, StringComparison.Ordinal);
        var errors = ConfigurationSample.Read(Text.Replace(right, wrong, StringComparison.Ordinal)).Errors.Select(e => e.ToString()).ToArray();
        Assert.True(Array.Exists(errors, e => e.StartsWith($"fastlb.yaml:{expected}", StringComparison.Ordinal)), $"{expected} is not in\n{string.Join('\n', errors)}");
    }

    [Theory]
    [InlineData("{ pool: app }", "{ host: a.test, pool: app }", "a route before it takes everything")]
    [InlineData("{ path: /a/, pool: app }", "{ path: /a/b, pool: app }", "route 1 takes everything that it would")]
    [InlineData("{ path: /a/, pool: app }", "{ host: x.test, pathExact: /a/b, methods: [GET], pool: app }", "route 1 takes everything that it would")]
    [InlineData("{ host: \"*.test\", pool: app }", "{ host: A.TEST, path: /a, pool: app }", "route 1 takes everything that it would")]
    [InlineData("{ host: \"*.test\", pool: app }", "{ host: \"*.a.test\", pool: app }", "route 1 takes everything that it would")]
    [InlineData("{ path: /a/, methods: [GET], pool: app }", "{ path: /a/b, pool: app }", null)]
    [InlineData("{ host: \"*.test\", pool: app }", "{ host: test, pool: app }", null)]
    [InlineData("{ host: \"*.a.test\", pool: app }", "{ host: \"*.test\", pool: app }", null)]
    [InlineData("{ path: /a/, pool: app }", "{ path: /a, pool: app }", null)]
    [InlineData("{ pathExact: /a/, pool: app }", "{ path: /a/, pool: app }", null)]
    public void A_route_that_no_request_reaches_is_told(string first, string second, string? warning)
    {
        var result = ConfigurationSample.Read($"pools: {{ app: {{ workers: [127.0.0.1:9001] }} }}\nlisteners:\n  - bind: 127.0.0.1:8000\n    routes:\n      - {first}\n      - {second}\n");
        Assert.Empty(result.Errors);
        Assert.Equal(warning is null ? [] : [$"fastlb.yaml:6:9: route 2 of listener 127.0.0.1:8000 is never reached; {warning}"], result.Warnings.Select(w => w.ToString()));
    }

    [Theory]
    [InlineData("{ host: \"a..b\", pool: app }", "6:17: host: ")]
    [InlineData("{ path: v1, pool: app }", "6:17: path: ")]
    [InlineData("{ pathRegex: \"[\", pool: app }", "6:22: pathRegex: ")]
    [InlineData("{ paht: /v1, pool: app }", "6:11: unknown key 'paht'")]
    [InlineData("{ headers: { X: \"!v\" }, pool: app }", "6:25: headers: ")]
    [InlineData("5", "6:9: route 2 of listener 127.0.0.1:8000: expected keys")]
    public void A_route_with_a_mistake_is_not_said_to_take_what_the_others_would(string wrong, string mistake)
    {
        var result = ConfigurationSample.Read(
            $"pools: {{ app: {{ workers: [127.0.0.1:9001] }} }}\nlisteners:\n  - bind: 127.0.0.1:8000\n    routes:\n      - {{ path: /a, pool: app }}\n      - {wrong}\n      - {{ host: b.test, pool: app }}\n      - {{ pool: app }}\n      - {{ path: /late, pool: app }}\n");
        Assert.StartsWith($"fastlb.yaml:{mistake}", Assert.Single(result.Errors).ToString(), StringComparison.Ordinal);
        Assert.Equal(["fastlb.yaml:9:9: route 5 of listener 127.0.0.1:8000 is never reached; a route before it takes everything"], result.Warnings.Select(w => w.ToString()));
    }

    [Fact]
    public void A_route_is_called_by_its_number_although_one_before_it_is_none()
    {
        var result = ConfigurationSample.Read(
            "pools: { app: { workers: [127.0.0.1:9001] } }\nlisteners:\n  - bind: 127.0.0.1:8000\n    routes:\n      - 5\n      - { path: /a, pool: app }\n      - { path: /a/b, pool: app }\n");
        Assert.Equal(["fastlb.yaml:7:9: route 3 of listener 127.0.0.1:8000 is never reached; route 2 takes everything that it would"], result.Warnings.Select(w => w.ToString()));
    }

    [Theory]
    [InlineData("", "", true)]
    [InlineData("forwarding: { requestId: \"off\" }\n", "", true)]
    [InlineData("forwarding: { requestId: generate }\n", "forwarding: { requestId: \"off\" }, ", true)]
    [InlineData("forwarding: { requestId: generate }\n", "", false)]
    [InlineData("", "forwarding: { requestId: accept-all }, ", false)]
    public void A_header_with_the_id_of_requests_that_have_none_is_told(string top, string own, bool isDoubtful)
    {
        var result = ConfigurationSample.Read(
            $"pools: {{ app: {{ workers: [127.0.0.1:9001] }} }}\n{top}listeners:\n  - {{ bind: 127.0.0.1:8000, {own}routes: [{{ pool: app,\n    requestHeaders: {{ set: {{ X-Id: \"{{request.id}}\", X-Host: \"{{host}}\" }} }},\n    responseHeaders: {{ add: {{ X-Id: \"a {{request.id}}\" }} }} }}] }}\n");
        var line = top.Length > 0 ? 5 : 4;
        const string Told = "X-Id: '{request.id}' is empty, because requests of this listener get no id; write forwarding: { requestId: generate } or accept-all";
        Assert.Empty(result.Errors);
        Assert.Equal(isDoubtful ? [$"fastlb.yaml:{line}:36: set: {Told}", $"fastlb.yaml:{line + 1}:37: add: {Told}"] : [], result.Warnings.Select(w => w.ToString()));
    }

    [Fact]
    public void The_example_of_the_guide_is_a_right_configuration_that_does_what_it_says()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "FastLB.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        var example = File.ReadAllText(Path.Combine(root, "docs", "routing.md")).Split("```yaml\n")[1].Split("```")[0];
        var result = ConfigurationSample.Read(example);
        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        var table = new RouteTable(result.Settings!.Listeners[0].Routes);
        Assert.Equal(0, Routes.RouteProbe.Get(table, "/robots.txt"));
        Assert.Equal(2, Routes.RouteProbe.Get(table, "/internal/x"));
        Assert.Equal(RouteTable.Ambiguous, Routes.RouteProbe.Get(table, "/x/..%2finternal/"));
        Assert.Equal(3, Routes.RouteProbe.Get(table, "/shop/", host: "eu.example.com"));
        Assert.Equal(5, Routes.RouteProbe.Get(table, "/api/x?beta=1", "X-Version: v2.1\r\n"));
        Assert.Equal(7, Routes.RouteProbe.Get(table, "/api/x?beta=1", "X-Version: v2.1\r\nX-Debug: 1\r\n"));
        Assert.Equal(6, Routes.RouteProbe.Get(table, "/users/42"));
    }
}
