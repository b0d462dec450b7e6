using FastLB.Core;
using FastLB.Core.Http;
using FastLB.Core.Metrics;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;

namespace FastLB.Simulation;

/// <summary>What a route does with a request besides sending it to its pool, byte by byte.</summary>
public sealed class RoutingScenarioTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Theory]
    [InlineData("https://{host}/new{path}{query}", "/a/b?c=d", "https://example.test/new/a/b?c=d")]
    [InlineData("https://{host}{path}{query}", "http://example.test", "https://example.test/")]
    [InlineData("/new{path}", "//evil.test/", "/new//evil.test/")]
    [InlineData("https://x.test{path}{query}", "/\"<>^|`{}?\"", "https://x.test/%22%3C%3E%5E%7C%60%7B%7D?%22")]
    public void A_redirect_keeps_what_it_names_of_the_request(string to, string target, string location)
    {
        var stage = OnRoute(new RouteRule(null, null, "") { Redirect = new RedirectSettings(to, 308) });
        var client = stage.Client($"GET {target} HTTP/1.1\r\nHost: example.test:81\r\n\r\n".Replace("Host: example.test:81", target[0] == 'h' ? "Host: example.test" : "Host: example.test:81", StringComparison.Ordinal));
        Assert.StartsWith("HTTP/1.1 308 Permanent Redirect\r\n", client.Heard, StringComparison.Ordinal);
        Assert.Contains($"\r\nLocation: {location}\r\n", client.Heard, StringComparison.Ordinal);
        Assert.Equal("open", client.End);
        Assert.Equal((1, 0), (stage.Of(Outcome.AnsweredHere), stage.Of(Outcome.NoRoute)));
        Assert.Equal(1, stage.Outcomes);
    }

    [Fact]
    public void The_server_itself_is_redirected_to_the_root_and_not_into_the_host()
    {
        var stage = OnRoute(new RouteRule(null, null, "") { Redirect = new RedirectSettings("https://x.test{path}", 302) });
        Assert.Contains("\r\nLocation: https://x.test/\r\n", stage.Client("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_stranger_says_of_earlier_hops_decides_no_route()
    {
        var stage = new Stage(routes:
        [
            new RouteRule(null, null, "app") { Fields = [new FieldCondition(FieldSource.Header, "X-Forwarded-Proto", FieldMatch.Exact, "https")] },
            new RouteRule(null, null, "") { Answer = new AnswerSettings { Status = 403 } },
        ]);
        Assert.StartsWith("HTTP/1.1 403 ", stage.Client("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n").Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_header_that_is_set_is_taken_away_with_underscores_as_well()
    {
        var stage = OnRoute(new RouteRule(null, null, "app") { RequestHeaders = new HeaderChangeSettings { Set = [new HeaderValue("X-User", "nobody")] } });
        stage.Client("GET / HTTP/1.1\r\nHost: a\r\nX_User: admin\r\n\r\n");
        var heard = stage.NextAtWorker().Heard;
        Assert.Contains("X-User: nobody\r\n", heard, StringComparison.Ordinal);
        Assert.DoesNotContain("admin", heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_fixed_answer_has_its_headers_and_the_connection_stays()
    {
        var stage = OnRoute(new RouteRule(null, "/robots.txt", "")
        {
            Answer = new AnswerSettings { Status = 200, ContentType = "text/plain", Body = "no\n"u8.ToArray(), Headers = [new HeaderValue("X-A", "b")] },
        });
        var client = stage.Client("GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\nHEAD /robots.txt HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        const string Head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nX-A: b\r\n\r\n";
        Assert.StartsWith($"{Head}no\n{Head}HTTP/1.1 404 ", client.Heard, StringComparison.Ordinal);
        Assert.Equal((2, 1), (stage.Of(Outcome.AnsweredHere), stage.Of(Outcome.NoRoute)));
    }

    [Fact]
    public void A_fixed_answer_without_a_body_says_nothing_of_its_length()
    {
        var stage = OnRoute(new RouteRule(null, null, "") { Answer = new AnswerSettings { Status = 204 } });
        Assert.Equal("HTTP/1.1 204 No Content\r\n\r\n", stage.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n").Heard);
    }

    [Fact]
    public void A_body_that_still_comes_behind_a_fixed_answer_is_no_next_request()
    {
        var stage = new Stage(routes: [new RouteRule(null, "/closed", "") { Answer = new AnswerSettings { Status = 403 } }, new RouteRule(null, "/", "app")]);
        var client = stage.Client("POST /closed HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 403 Forbidden\r\n", client.Heard, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", client.Heard, StringComparison.Ordinal);
        client.Say("GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n");
        stage.Settle();
        Assert.False(stage.HasMoreAtWorkers);
        Assert.Equal("ended", client.End);
        Assert.Equal(1, stage.Outcomes);
        Assert.Equal(1, stage.Proxy.Metrics.Requests);
    }

    [Fact]
    public void Maintenance_is_switched_on_and_off_while_requests_come()
    {
        var closed = Route.DefaultMaintenance with { Body = "later"u8.ToArray() };
        var stage = OnRoute(new RouteRule(null, "/", "app") { Name = "shop", Maintenance = new MaintenanceSettings(false, closed) });
        var client = stage.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();

        Assert.True(stage.Switches.TrySet("shop", MaintenanceWord.On));
        Assert.False(stage.Switches.TrySet("chop", MaintenanceWord.On));
        client.Say("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        stage.Settle();
        Assert.Equal(2, client.Heard.Split("HTTP/1.1 503 Service Unavailable\r\n").Length - 1);
        Assert.Contains("\r\nRetry-After: 60\r\n\r\nlater", client.Heard, StringComparison.Ordinal);
        Assert.Equal(2, stage.Of(Outcome.AnsweredHere));

        stage.Switches.TrySet("shop", MaintenanceWord.Configured);
        client.Say("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
        stage.Settle();
        Assert.Contains("GET /again", worker.Heard, StringComparison.Ordinal);
        worker.Say(Ok);
        stage.Settle();
        Assert.Equal(2, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void A_route_that_is_only_closed_leads_nowhere_when_it_is_open()
    {
        var stage = OnRoute(new RouteRule(null, "/", "") { Name = "shop", Maintenance = new MaintenanceSettings(true, Route.DefaultMaintenance) });
        Assert.StartsWith("HTTP/1.1 503 ", stage.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n").Heard, StringComparison.Ordinal);
        stage.Switches.TrySet("shop", MaintenanceWord.Off);
        Assert.StartsWith("HTTP/1.1 404 ", stage.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n").Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Headers_are_set_added_and_removed_in_both_directions()
    {
        var stage = OnRoute(new RouteRule("a.test", "/", "app")
        {
            Name = "main",
            RequestHeaders = new HeaderChangeSettings
            {
                Set = [new("X-Real-IP", "{client.address}"), new("X-Where", "{method} {host}{path}|{query} {pool}/{route} {{x")],
                Add = [new("X-Tag", "ours"), new("X-Empty", "{request.id}")],
                Remove = ["x-secret", "Cookie"],
            },
            ResponseHeaders = new HeaderChangeSettings
            {
                Set = [new("X-Served-By", "{worker}"), new("X-Asked", "{method} {host} {path} {query} {client.address}:{client.port}")],
                Remove = ["Server"],
            },
        });
        var client = stage.Client("GET /p?q=1 HTTP/1.1\r\nHost: A.test:81\r\nX-Real-IP: 6.6.6.6\r\nX-SECRET: s\r\nConnection: X-Where\r\nX-Tag: theirs\r\nCookie: a=b\r\nAccept: x\r\n\r\n");
        var worker = stage.NextAtWorker();
        var lines = worker.Heard.Split("\r\n");
        Assert.Equal("GET /p?q=1 HTTP/1.1", lines[0]);
        Assert.Equal(["X-Real-IP: 192.168.0.1"], lines.Where(l => l.StartsWith("X-Real", StringComparison.Ordinal)));
        Assert.Equal(["X-Where: GET A.test/p|?q=1 app/main {x"], lines.Where(l => l.StartsWith("X-Where", StringComparison.Ordinal)));
        Assert.Equal(["X-Tag: theirs", "X-Tag: ours"], lines.Where(l => l.StartsWith("X-Tag", StringComparison.Ordinal)));
        Assert.Contains("Accept: x", lines);
        Assert.DoesNotContain(lines, l => l.StartsWith("X-SECRET", StringComparison.OrdinalIgnoreCase) || l.StartsWith("Cookie", StringComparison.Ordinal) || l.StartsWith("X-Empty", StringComparison.Ordinal));

        worker.Say("HTTP/1.1 103 Early Hints\r\nServer: s\r\n\r\nHTTP/1.1 200 OK\r\nServer: s\r\nX-Served-By: me\r\nX-Other: 1\r\nContent-Length: 2\r\n\r\nok");
        stage.Settle();
        var answer = client.Heard[client.Heard.IndexOf("HTTP/1.1 200", StringComparison.Ordinal)..];
        Assert.Contains("\r\nX-Served-By: app/0\r\nX-Asked: GET A.test /p ?q=1 192.168.0.1:40000\r\n", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("Server: s", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Served-By: me", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Other: 1\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\nok", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(3_000)]
    [InlineData(4_096)]
    public void Headers_of_any_length_go_in_front_of_bodies_in_both_directions(int length)
    {
        var value = new string('v', length);
        var changes = new HeaderChangeSettings { Set = [new("X-Long", value), new("X-Long-Too", value)] };
        var stage = OnRoute(new RouteRule(null, "/", "app") { RequestHeaders = changes, ResponseHeaders = changes });
        var client = stage.Client($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{new string('b', 400)}");
        var worker = stage.NextAtWorker();
        client.Say(new string('b', 600));
        stage.Settle();
        Assert.Contains($"\r\nX-Long: {value}\r\nX-Long-Too: {value}\r\n", worker.Heard, StringComparison.Ordinal);
        Assert.EndsWith($"\r\nContent-Length: 1000\r\n\r\n{new string('b', 1000)}", worker.Heard, StringComparison.Ordinal);

        worker.Say($"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        stage.Settle();
        worker.Say("0\r\n\r\n");
        stage.Settle();
        Assert.Contains($"\r\nX-Long: {value}\r\nX-Long-Too: {value}\r\n", client.Heard, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n5\r\nhello\r\n0\r\n\r\n", client.Heard, StringComparison.Ordinal);

        client.Say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        stage.Settle();
        worker.Say("HTTP/1.1 204 No Content\r\n\r\n");
        stage.Settle();
        Assert.EndsWith($"\r\nX-Long-Too: {value}\r\n\r\n", client.Heard, StringComparison.Ordinal);
        Assert.Equal(2, stage.Of(Outcome.Completed));
    }

    [Theory]
    [InlineData("/v1", null, "/v1/x?y", "/x?y")]
    [InlineData("/v1/", null, "/v1/x", "/x")]
    [InlineData("/v1", null, "/v1", "/")]
    [InlineData("/v1", null, "/v1?y=/v1/", "/?y=/v1/")]
    [InlineData("/v1", null, "/v10", "/v10")]
    [InlineData("/v1", null, "/%761/%2561", "/%2561")]
    [InlineData("/v1", null, "/v1//evil.test", "/evil.test")]
    [InlineData("/v1", "/api", "/v1/x", "/api/x")]
    [InlineData(null, "/api/", "/x?y", "/api/x?y")]
    [InlineData("/v1", "/api", "http://a/v1/x", "/api/x")]
    public void The_path_is_rewritten_and_the_query_stays(string? strip, string? add, string target, string expected)
    {
        var stage = OnRoute(new RouteRule(null, "/", "app") { Rewrite = new RewriteSettings { StripPrefix = strip, AddPrefix = add } });
        stage.Client($"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.StartsWith($"GET {expected} HTTP/1.1\r\nHost: a\r\n", stage.NextAtWorker().Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_host_for_the_worker_replaces_the_clients_which_is_forwarded()
    {
        var stage = OnRoute(new RouteRule(null, "/", "app") { Rewrite = new RewriteSettings { Host = "internal:81" } });
        stage.Client("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        var heard = stage.NextAtWorker().Heard;
        Assert.StartsWith("GET /x HTTP/1.1\r\nHost: internal:81\r\n", heard, StringComparison.Ordinal);
        Assert.Single(heard.Split("\r\n"), l => l.StartsWith("Host:", StringComparison.Ordinal));
        Assert.Contains("\r\nX-Forwarded-Host: a\r\n", heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_route_has_times_of_its_own()
    {
        var stage = new Stage(routes: [new RouteRule(null, "/slow", "app") { Timeouts = new RouteTimeouts { ResponseMs = 90_000 } }, new RouteRule(null, "/", "app") { Timeouts = new RouteTimeouts { ResponseMs = 2_000 } }]);
        var slow = stage.Client("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        var quick = stage.Client("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
        stage.Pass(1_900);
        Assert.Equal("", quick.Heard);
        stage.Pass(200);
        Assert.StartsWith("HTTP/1.1 504 ", quick.Heard, StringComparison.Ordinal);
        stage.Pass(80_000);
        Assert.Equal("", slow.Heard);
        stage.Pass(10_000);
        Assert.StartsWith("HTTP/1.1 504 ", slow.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_route_waits_for_a_body_as_long_as_it_says()
    {
        var stage = OnRoute(new RouteRule(null, "/", "app") { Timeouts = new RouteTimeouts { BodyMs = 300 } });
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        stage.NextAtWorker();
        stage.Pass(1_000);
        Assert.StartsWith("HTTP/1.1 408 ", client.Heard, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/never", 1, 502)]
    [InlineData("/thrice", 3, 200)]
    [InlineData("/", 2, 502)]
    public void A_route_has_retries_of_its_own(string path, int attempts, int status)
    {
        var stage = new Stage(workers: 4, routes:
        [
            new RouteRule(null, "/never", "app") { Retries = new RetrySettings { Attempts = 0 } },
            new RouteRule(null, "/thrice", "app") { Retries = new RetrySettings { Attempts = 5 } },
            new RouteRule(null, "/", "app"),
        ]);
        var client = stage.Client($"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        var seen = 0;
        for (stage.Settle(); stage.HasMoreAtWorkers && seen < 4; stage.Pass(1_000))
        {
            var worker = stage.NextAtWorker();
            seen++;
            if (seen == 3)
            {
                worker.Say(Ok);
            }
            else
            {
                worker.Socket.Close(reset: true);
            }

            stage.Settle();
        }

        Assert.Equal((attempts, true), (seen, client.Heard.StartsWith($"HTTP/1.1 {status} ", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("/large", 2_000, 200)]
    [InlineData("/small", 11, 413)]
    [InlineData("/small", 10, 200)]
    public void A_route_has_a_limit_for_bodies_of_its_own(string path, int length, int status)
    {
        var stage = new Stage(routes:
        [
            new RouteRule(null, "/large", "app") { MaxBodyBytes = 100_000 }, new RouteRule(null, "/small", "app") { MaxBodyBytes = 10 },
        ]);
        var client = stage.Client($"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{new string('b', length)}");
        if (status == 200)
        {
            stage.NextAtWorker().Say(Ok);
            stage.Settle();
        }

        Assert.StartsWith($"HTTP/1.1 {status} ", client.Heard, StringComparison.Ordinal);
        Assert.False(stage.HasMoreAtWorkers);
    }

    [Fact]
    public void A_path_that_could_mean_two_routes_is_refused_and_reaches_no_worker()
    {
        var stage = new Stage(routes: [new RouteRule(null, "/admin/", "") { Answer = new AnswerSettings { Status = 403 } }, new RouteRule(null, "/", "app")]);
        var client = stage.Client("GET /x/..%2fadmin/ HTTP/1.1\r\nHost: a\r\n\r\nGET /x/../admin/ HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 400 ", client.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", client.End);
        Assert.Equal(1, stage.Of(Outcome.ClientMalformed));
        Assert.StartsWith("HTTP/1.1 403 ", stage.Client("GET /%61dmin/ HTTP/1.1\r\nHost: a\r\n\r\n").Heard, StringComparison.Ordinal);
        Assert.False(stage.HasMoreAtWorkers);
    }

    [Fact]
    public void Requests_that_run_ahead_stop_at_one_whose_route_does_more_than_pass_it_on()
    {
        var stage = new Stage(routes:
        [
            new RouteRule(null, "/changed", "app") { ResponseHeaders = new HeaderChangeSettings { Set = [new("X-Path", "{path}")] } },
            new RouteRule(null, "/gone", "") { Answer = new AnswerSettings { Status = 410 } },
            new RouteRule(null, "/", "app"),
        ]);
        var client = stage.Client("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();
        client.Say(string.Concat(((string[])["/1", "/2", "/changed", "/gone", "/3"]).Select(p => $"GET {p} HTTP/1.1\r\nHost: a\r\n\r\n")));
        stage.Settle();
        Assert.Contains("GET /2 ", worker.Heard, StringComparison.Ordinal);
        Assert.DoesNotContain("GET /changed ", worker.Heard, StringComparison.Ordinal);
        for (var i = 0; i < 4; i++)
        {
            worker.Say(Ok);
            stage.Settle();
        }

        var heard = client.Heard;
        Assert.Equal(5, heard.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.Contains("\r\nX-Path: /changed\r\n", heard, StringComparison.Ordinal);
        Assert.True(heard.IndexOf("X-Path", StringComparison.Ordinal) < heard.IndexOf("HTTP/1.1 410 Gone", StringComparison.Ordinal));
        Assert.EndsWith("\r\n\r\nok", heard, StringComparison.Ordinal);
    }

    private static Stage OnRoute(RouteRule rule) => new(routes: [rule]);
}
