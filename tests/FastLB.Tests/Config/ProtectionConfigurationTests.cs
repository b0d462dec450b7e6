using FastLB.Configuration;
using FastLB.Core.Balancing;
using FastLB.Core.Resilience;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary>What chooses and what protects, in the file: right values arrive, wrong ones are told with their place.</summary>
public sealed class ProtectionConfigurationTests
{
    private const string Text =
        """
        zones: { eu: [10.1.0.0/16, "2001:db8::/32"], us: [192.0.2.7] }
        listeners: [{ bind: 127.0.0.1:8000, pool: app }]
        pools:
          app:
            strategy: { name: consistent-hash, key: header:X-User, loadBound: 1.5 }
            slowStart: 30s
            sticky: { by: client-address }
            health: { path: /healthz, host: app.test, status: 200-204, body: fine, interval: 1s, timeout: 500ms, rise: 3, fall: 4 }
            panic: 30%
            outliers: { failures: 7, maxEjected: 40%, ejection: 10s, latencyFactor: off }
            breaker: { failures: 3, failureRate: 40%, slowAfter: 500ms, open: 2s, probes: 2 }
            poolBreaker: true
            retries: { attempts: 3, on: [closed, timeout, 503], attemptTimeout: 2s, budget: 10%, backoff: 50ms, maxBackoff: 2s }
            fallback: { pool: spare }
            limits: { maxRequests: 30, maxConnections: 40, worker: { maxRequests: 10, maxConnections: 20 } }
            queue: { length: 100, priorityHeader: X-Priority, priority: 5 }
            rateLimits:
              - { key: cookie:sid, rate: 90/m, burst: 20, name: visitors }
              - { key: everyone, rate: 1000/s }
            workers: [{ address: 127.0.0.1:9001, zone: eu }, { address: 127.0.0.1:9002, zone: us }]
          spare:
            fallback: { text: closed for today, status: 200, contentType: text/html }
            workers: [127.0.0.1:9003]

        """;

    [Fact]
    public void Every_value_arrives()
    {
        var result = ConfigurationSample.Read(Text);
        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        var app = result.Settings!.Pools[0];
        Assert.Equal(new StrategyPlan("consistent-hash") { Key = KeySource.Header, KeyName = "X-User", LoadBound = 1.5 }, app.Strategy);
        Assert.Equal(30_000, app.SlowStartMs);
        Assert.Equal(KeySource.ClientAddress, app.Sticky!.Key);
        Assert.Equal(
            new HealthCheckSettings
            {
                Path = "/healthz", Host = "app.test", MinStatus = 200, MaxStatus = 204, Body = "fine", IntervalMs = 1000, TimeoutMs = 500, Rise = 3, Fall = 4,
            },
            app.Health);
        Assert.Equal(0.3, app.PanicShare, 6);
        Assert.Equal(
            new RetrySettings { Attempts = 3, On = RetryOn.Closed | RetryOn.Timeout | RetryOn.Status503, AttemptMs = 2000, BudgetShare = 0.1, BackoffMs = 50, MaxBackoffMs = 2000 }, app.Retries);
        Assert.Equal((7, 0.4, 10_000, 0), (app.Outliers!.ConsecutiveFailures, app.Outliers.MaxEjectedShare, app.Outliers.EjectionMs, app.Outliers.LatencyFactor));
        Assert.Equal((3, 2_000, 2, 0.4, 500), (app.Breaker!.Circuit.FailuresToOpen, app.Breaker.Circuit.OpenMs, app.Breaker.Circuit.Probes, app.Breaker.Window.FailureShare, app.Breaker.SlowAfterMs));
        Assert.Equal(new BreakerPlan(new BreakerSettings()), app.PoolBreaker);
        Assert.Equal("spare", app.Fallback!.PoolName);
        Assert.Equal(new LoadLimits { WorkerRequests = 10, WorkerConnections = 20, Requests = 30, Connections = 40 }, app.Limits);
        Assert.Equal(new QueueSettings { Length = 100, PriorityHeader = "X-Priority", Priority = 5 }, app.Queue);
        Assert.Equal(
            [new RateLimitSettings("visitors", KeySource.Cookie, "sid", 1.5, 20), new RateLimitSettings("limit-2", KeySource.Everyone, "", 1000, 1000)], app.RateLimits);
        Assert.Equal(["eu", "us"], app.Reached.Select(w => w.Zone));
        Assert.Equal(200, result.Settings.Pools[1].Fallback!.Answer!.Status);
    }

    [Theory]
    [InlineData("name: consistent-hash", "name: constent-hash", "fastlb.yaml:5:23: strategy: there is no strategy 'constent-hash'; did you mean 'consistent-hash'?", "")]
    [InlineData("name: consistent-hash", "name: best", "fastlb.yaml:5:23: strategy: there is no strategy 'best'; there are two-choices, round-robin, ", "auto")]
    [InlineData("key: header:X-User", "key: headr:X-User", "fastlb.yaml:5:45: key: 'headr:X-User' is nothing that a request has; write client-address, path, header:NAME, cookie:NAME or query:NAME; did you mean 'header:'?", "")]
    [InlineData("key: header:X-User", "key: \"header:X User\"", "fastlb.yaml:5:45: key: 'X User' is not the name of a header", "")]
    [InlineData("loadBound: 1.5", "loadBound: 0.5", "fastlb.yaml:5:71: loadBound: 0.5 is out of range; write a number from 1 to 100", "")]
    [InlineData("{ name: consistent-hash, key: header:X-User, loadBound: 1.5 }", "{ name: round-robin, key: path }", "fastlb.yaml:5:41: key: the strategy round-robin goes by no key; consistent-hash does", "")]
    [InlineData("10.1.0.0/16", "10.1.0.1/16", "fastlb.yaml:1:15: eu: '10.1.0.1/16' has bits behind its prefix; write 10.1.0.0/16", "")]
    [InlineData("192.0.2.7", "10.1.0.0/16", "fastlb.yaml:1:51: us: 10.1.0.0/16 stands in line 1 already", "")]
    [InlineData("zone: us", "zone: uk", "fastlb.yaml:20:87: there is no zone 'uk'; did you mean 'us'?", "")]
    [InlineData("by: client-address", "by: path", "fastlb.yaml:7:19: by: sessions go by cookie, client-address, header:NAME", "not by path")]
    [InlineData("by: client-address", "by: client-address, secret: 0123456789abcdef", "fastlb.yaml:7:35: 'secret' has no meaning in sticky of pool 'app'", "")]
    [InlineData("status: 200-204", "status: 204-200", "fastlb.yaml:8:55: status: '204-200' is not a status or a range like 200-299, from 100 to 599", "")]
    [InlineData("path: /healthz, host: app.test, status: 200-204, body: fine", "host: app.test", "fastlb.yaml:8:15: 'host' has no meaning in health of pool 'app' without a 'path' to ask for", "")]
    [InlineData("panic: 30%", "panic: 130%", "fastlb.yaml:9:12: panic: '130%' is not possible; write a share from 0% to 100%", "")]
    [InlineData("panic: 30%", "panic: 30", "fastlb.yaml:9:12: panic: '30' is not a share", "")]
    [InlineData("failureRate: 40%", "failureRate: 140%", "fastlb.yaml:11:42: failureRate: '140%' is not possible; write a share from 1% to 100%", "")]
    [InlineData("slowAfter: 500ms", "slowRate: 50%", "fastlb.yaml:11:47: slowRate: 'slowAfter' is missing beside it", "")]
    [InlineData("probes: 2", "maxOpen: 1s", "fastlb.yaml:11:75: maxOpen: it is shorter than open (2000 ms)", "")]
    [InlineData("maxEjected: 40%", "maxEjected: 101%", "fastlb.yaml:10:42: maxEjected: '101%' is not possible", "")]
    [InlineData("poolBreaker: true", "poolBreaker: yes", "fastlb.yaml:12:18: poolBreaker: expected true or keys (failures, ", "")]
    [InlineData("budget: 10%", "budget: -1%", "fastlb.yaml:13:85: budget: '-1%' is not possible", "")]
    [InlineData("timeout, 503", "timeout, 500", "fastlb.yaml:13:51: on: expected closed, timeout, 502, 503, 504, found '500'", "")]
    [InlineData("attemptTimeout: 2s, ", "", "fastlb.yaml:13:33: on: 'timeout' needs 'attemptTimeout' beside it", "")]
    [InlineData("maxBackoff: 2s", "maxBackoff: 20ms", "fastlb.yaml:13:105: maxBackoff: it is shorter than backoff (50 ms)", "")]
    [InlineData("pool: spare }", "pool: spar }", "fastlb.yaml:14:23: there is no pool 'spar'; did you mean 'spare'?", "")]
    [InlineData("{ pool: spare }", "{ pool: spare, text: sorry }", "fastlb.yaml:14:15: fallback of pool 'app' has 'pool' and 'text'; one of them answers, so write one", "")]
    [InlineData("{ text: closed for today, status: 200, contentType: text/html }", "{ pool: app }", "fastlb.yaml:14:23: fallback: app -> spare -> app is a circle", "")]
    [InlineData("{ text: closed for today, status: 200, contentType: text/html }", "{ file: no-such-file.html }", "fastlb.yaml:22:23: file: ", "cannot be read")]
    [InlineData("maxRequests: 10", "maxRequests: -1", "fastlb.yaml:15:75: maxRequests: ", "")]
    [InlineData("maxRequests: 30", "maxRequest: 30", "fastlb.yaml:15:15: unknown key 'maxRequest' in limits of pool 'app'; did you mean 'maxRequests'?", "")]
    [InlineData("priority: 5", "priority: 8", "fastlb.yaml:16:65: priority: ", "")]
    [InlineData("rate: 90/m", "rate: 90", "fastlb.yaml:18:34: rate: '90' is not a rate; write a rate like 100/s, 30/m or 5/h", "")]
    [InlineData("rate: 90/m", "rate: 0/m", "fastlb.yaml:18:34: rate: 0 is out of range", "")]
    [InlineData("key: everyone", "key: nobody", "fastlb.yaml:19:16: key: 'nobody' is nothing that a request has", "")]
    public void A_wrong_value_is_told_with_its_place(string right, string wrong, string start, string end)
    {
        Assert.Equal(1, Text.Split(right).Length - 1);

        var error = Assert.Single(ConfigurationSample.Read(Text.Replace(right, wrong, StringComparison.Ordinal)).Errors).ToString();

        Assert.StartsWith(start, error, StringComparison.Ordinal);
        Assert.Contains(end, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("two-choices", null, true)]
    [InlineData("consistent-hash", "query:id", true)]
    [InlineData("two-choices", "query:id", false)]
    [InlineData("no-such", null, false)]
    public void The_words_of_a_strategy_mean_the_same_everywhere(string name, string? key, bool isRight) =>
        Assert.Equal(isRight, StrategyReader.TryMake(name, key, null, out _, out _, out var problem) && problem.Length == 0);

    [Fact]
    public void The_example_in_the_guide_is_right()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "FastLB.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        var guide = File.ReadAllText(Path.Combine(root, "docs", "protection.md"));
        var example = guide.Split("```yaml\n")[1].Split("```")[0];
        var directory = Directory.CreateTempSubdirectory("fastlb-tests-");
        File.WriteAllText(Path.Combine(directory.FullName, "sorry.html"), "sorry");

        var result = ConfigurationFile.Parse($"listeners: [{{ bind: 127.0.0.1:8000, pool: app }}]\n{example}", "fastlb.yaml", directory.FullName);

        directory.Delete(recursive: true);
        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
    }
}
