namespace FastLB.SystemTests.Program;

/// <summary>Routes end to end, asked by curl as a user asks.</summary>
public abstract class RoutingTests(string engine) : TestsOfAnEngine(engine)
{
    private const string Configuration =
        """
        admin: { bind: ADMIN }
        listeners:
          - bind: LISTEN
            routes:
              - { path: /admin/, answer: { status: 403, body: closed } }
              - { pathExact: /old, redirect: { to: "https://new.test{path}{query}", status: 308 } }
              - { path: /shop/, pool: app, maintenance: true }
              - path: /api/
                headers: { X-Version: v2 }
                pool: app
                rewrite: { stripPrefix: /api }
                requestHeaders: { set: { X-Route: "{method} {path}" } }
                responseHeaders: { set: { X-Served-By: "{worker}", X-Asked: "{path}" } }
              - { path: /, pool: app }
        pools:
          app: { run: { command: DEMO, instances: 1 } }

        """;

    [NeedsToolsFact("curl")]
    public async Task Curl_sees_what_each_route_does_and_gets_past_none()
    {
        await using var fastlb = await FastLbUnderTest.Start(Configuration);

        Assert.StartsWith("HTTP/1.1 403 Forbidden\n", await Curl(fastlb, "/admin/"), StringComparison.Ordinal);
        foreach (var spelling in (string[])["/x/../admin/", "/x/%2e%2e/admin/", "/x/..%2fadmin/", "//admin/", "/./admin/", "/..;/admin/", "/admin%2f"])
        {
            Assert.StartsWith("HTTP/1.1 400 Bad Request\n", await Curl(fastlb, spelling), StringComparison.Ordinal);
        }

        Assert.StartsWith("HTTP/1.1 403 Forbidden\n", await Curl(fastlb, "/%61dmin/"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 404 Not Found\n", await Curl(fastlb, "/x/../y//z"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 200 OK\n", await Curl(fastlb, "/x/../pid"), StringComparison.Ordinal);

        var moved = await Curl(fastlb, "/old?a=b");
        Assert.StartsWith("HTTP/1.1 308 Permanent Redirect\nLocation: https://new.test/old?a=b\n", moved, StringComparison.Ordinal);
        Assert.Contains("\nRetry-After: 60\n", await Curl(fastlb, "/shop/", "-X", "POST", "-d", "body"), StringComparison.Ordinal);

        var changed = await Curl(fastlb, "/api/headers", "-H", "X-Version: v2", "-H", "X-Route: forged");
        Assert.StartsWith("HTTP/1.1 200 OK\n", changed, StringComparison.Ordinal);
        Assert.Contains("\nX-Served-By: app/0\nX-Asked: /api/headers\n", changed, StringComparison.Ordinal);
        Assert.Contains("GET /api/headers", changed, StringComparison.Ordinal);
        Assert.DoesNotContain("forged", changed, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Served-By", await Curl(fastlb, "/api/headers", "-H", "X-Version: v3"), StringComparison.Ordinal);
        Assert.Contains("answered-here", await fastlb.Metrics(), StringComparison.Ordinal);
    }

    private static Task<string> Curl(FastLbUnderTest fastlb, string target, params string[] options) =>
        RunningProgram.OutputOf("curl", ["-sS", "-i", "--path-as-is", "--max-time", "10", .. options, $"http://127.0.0.1:{fastlb.Port}{target}"]);
}

public sealed class RoutingOnEpollTests() : RoutingTests("epoll");

public sealed class RoutingOnAutoTests() : RoutingTests("auto");
