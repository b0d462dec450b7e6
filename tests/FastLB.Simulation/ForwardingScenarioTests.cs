using System.Net;
using System.Text.RegularExpressions;
using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;
using FastLB.Core.Resilience;

namespace FastLB.Simulation;

/// <summary>Who a request comes from, told to workers and clients, on the way through the real proxy.</summary>
public sealed class ForwardingScenarioTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private static readonly NetworkSet s_trusted = new([IPNetwork.Parse("192.168.0.0/16")]);

    [Fact]
    public void A_trusted_proxys_client_is_the_client_and_strangers_are_replaced()
    {
        var stage = new Stage(listening: l => l with { Forwarding = new ForwardingSettings { TrustedProxies = s_trusted } });
        stage.Client("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n");
        Assert.EndsWith("Host: a\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9, 192.168.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n\r\n", stage.NextAtWorker().Heard, StringComparison.Ordinal);
        stage.Client("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n", from: new ClientAddress(0x0A000001, 1));
        Assert.EndsWith("Host: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n", stage.NextAtWorker().Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Rates_and_affinity_go_by_the_client_and_not_by_the_proxy()
    {
        RateLimitSettings[] limits = [new("each", KeySource.ClientAddress, "", 1, 1)];
        var stage = new Stage(
            workers: 8,
            listening: l => l with { Forwarding = new ForwardingSettings { TrustedProxies = s_trusted } },
            pooling: p => p with { RateLimits = limits, Sticky = new StickySettings("", null) { Key = KeySource.ClientAddress } });
        var workers = new HashSet<Endpoint>();
        for (var i = 0; i < 20; i++)
        {
            var client = stage.Client(Get(i));
            var worker = stage.NextAtWorker();
            workers.Add(worker.Endpoint!);
            worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            stage.Settle();
            client.Say(Get(i));
            stage.Settle();
            Assert.Contains("HTTP/1.1 429 ", client.Heard, StringComparison.Ordinal);
        }

        Assert.InRange(workers.Count, 3, 8);

        static string Get(int client) => $"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.{client}\r\n\r\n";
    }

    [Fact]
    public void A_request_has_one_id_at_its_worker_and_at_its_client_also_on_an_error()
    {
        var stage = new Stage(listening: l => l with { Forwarding = new ForwardingSettings { RequestId = RequestIdMode.AcceptAll } });
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        var worker = stage.NextAtWorker();
        var id = Regex.Match(worker.Heard, "X-Request-Id: ([0-9a-f]{32})\r\n").Groups[1].Value;
        Assert.Equal(32, id.Length);
        Assert.EndsWith("\r\n\r\nabc", worker.Heard, StringComparison.Ordinal);
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: mine\r\n\r\nok");
        stage.Settle();
        Assert.Contains($"X-Request-Id: {id}\r\n", client.Heard, StringComparison.Ordinal);
        Assert.DoesNotContain("mine", client.Heard, StringComparison.Ordinal);

        client.Say("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: from-outside\r\n\r\n");
        stage.Settle();
        Assert.Contains("X-Request-Id: from-outside\r\n", worker.Heard, StringComparison.Ordinal);
        worker.Say("nonsense\r\n\r\n");
        stage.Settle();
        Assert.Matches("HTTP/1.1 502 Bad Gateway\r\nX-Request-Id: from-outside\r\n", client.Heard);
    }

    [Fact]
    public void What_one_request_was_called_and_who_sent_it_is_forgotten_for_the_next_connection()
    {
        var stage = new Stage(listening: l => l with { Forwarding = new ForwardingSettings { TrustedProxies = s_trusted, RequestId = RequestIdMode.Accept } });
        var first = stage.Client("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: one\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say(Ok);
        stage.Settle();
        Assert.Contains("X-Request-Id: one\r\n", first.Heard, StringComparison.Ordinal);
        var second = stage.Client("bad\r\n\r\n");
        Assert.Contains("400 ", second.Heard, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Request-Id", second.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Answers_tell_where_the_time_went()
    {
        var stage = new Stage(workers: 1, listening: l => l with { Forwarding = new ForwardingSettings { ServerTiming = true } });
        stage.Pool.Publish(new WorkerSet([], []));
        var client = stage.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        stage.Pass(40);
        stage.Pool.Publish(new WorkerSet(stage.Workers, []));
        stage.Proxy.OnPublished(stage.Pool);
        var worker = stage.NextAtWorker();
        stage.Pass(70);
        worker.Say(Ok);
        stage.Settle();
        Assert.Contains("Server-Timing: fastlb;dur=110.000, queue;dur=40.000, connect;dur=0.000, worker;dur=70.000\r\n", client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Requests_that_are_forwarded_otherwise_do_not_run_ahead()
    {
        var requests = string.Concat(Enumerable.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 5));
        Assert.Equal(0, PipelinedOf(new ForwardingSettings { RequestId = RequestIdMode.Generate }));
        Assert.Equal(5, PipelinedOf(ForwardingSettings.Default));
        Assert.Equal(5, PipelinedOf(new ForwardingSettings { TrustedProxies = new NetworkSet([IPNetwork.Parse("10.0.0.0/8")]) }));

        long PipelinedOf(ForwardingSettings forwarding)
        {
            var stage = new Stage(listening: l => l with { Forwarding = forwarding });
            var client = stage.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            var worker = stage.NextAtWorker();
            worker.Say(Ok);
            stage.Settle();
            client.Say(requests);
            stage.Settle();
            for (var i = 0; i < 5; i++)
            {
                worker.Say(Ok);
                stage.Settle();
            }

            Assert.Equal(6, stage.Of(Outcome.Completed));
            return stage.Proxy.Metrics.PipelinedRequests;
        }
    }
}
