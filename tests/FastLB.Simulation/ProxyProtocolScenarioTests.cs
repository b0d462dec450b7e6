using System.Net;
using System.Text;
using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;

namespace FastLB.Simulation;

/// <summary>PROXY headers from clients and to workers, HTTP and TCP.</summary>
public sealed class ProxyProtocolScenarioTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string Header = "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n";
    private const string Binary = "\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u000c\u00cb\u0000\u0071\u0009\u00c6\u0033\u0064\u0001\u0012\u0067\u0001\u00bb";
    private static readonly ClientAddress s_stranger = new(0x0A000001, 1);

    [Theory]
    [InlineData(Header, "203.0.113.9")]
    [InlineData(Binary, "203.0.113.9")]
    [InlineData("PROXY UNKNOWN\r\n", "192.168.0.1")]
    public void The_client_is_who_the_header_says_however_slowly_it_comes(string header, string client)
    {
        foreach (var mode in (ProxyProtocolMode[])[ProxyProtocolMode.Required, ProxyProtocolMode.Optional])
        {
            foreach (var piece in (int[])[1, 3, 1000])
            {
                var stage = Listening(mode);
                var socket = stage.Client();
                foreach (var part in (header + Get).Chunk(piece))
                {
                    socket.Say(new string(part));
                    stage.Settle();
                }

                var worker = stage.NextAtWorker();
                Assert.Equal($"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n", worker.Heard);
                worker.Say(Ok);
                stage.Settle();
                Assert.EndsWith("ok", socket.Heard, StringComparison.Ordinal);

                // It is said once, for all requests of the connection.
                socket.Say(Get);
                stage.Settle();
                Assert.Equal(2, worker.Heard.Split($"X-Forwarded-For: {client}\r\n").Length - 1);
            }
        }
    }

    [Fact]
    public void Whoever_is_not_believed_is_not_taken_or_taken_as_he_is()
    {
        var required = Listening(ProxyProtocolMode.Required);
        Assert.NotEqual("open", required.Client(Header + Get, from: s_stranger).End);
        Assert.Equal(1, required.Proxy.Metrics.ConnectionsRefused);
        Assert.False(required.HasMoreAtWorkers);

        var optional = Listening(ProxyProtocolMode.Optional);
        Assert.StartsWith("HTTP/1.1 400 ", optional.Client(Header + Get, from: s_stranger).Heard, StringComparison.Ordinal);
        optional.Client(Get, from: s_stranger);
        Assert.Contains("X-Forwarded-For: 10.0.0.1\r\n", optional.NextAtWorker().Heard, StringComparison.Ordinal);
        optional.Client(Get);
        Assert.Contains("X-Forwarded-For: 192.168.0.1\r\n", optional.NextAtWorker().Heard, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Get)]
    [InlineData("PROXY nonsense\r\n")]
    public void A_connection_without_the_header_that_it_has_to_have_is_closed_and_counted(string says)
    {
        foreach (var tcp in (bool[])[false, true])
        {
            var stage = Listening(ProxyProtocolMode.Required);
            Assert.Equal("reset", stage.Client(says, tcp).End);
            Assert.Equal((1, 0), (stage.Proxy.Metrics.ConnectionsRefused, stage.Proxy.OpenCount));
            Assert.Equal(tcp ? 1 : 0, stage.Outcomes);
            Assert.False(stage.HasMoreAtWorkers);
        }
    }

    [Fact]
    public void A_header_has_the_time_of_a_head()
    {
        foreach (var tcp in (bool[])[false, true])
        {
            var stage = Listening(ProxyProtocolMode.Required);
            var silent = stage.Client(tcp: tcp);
            var slow = stage.Client("PROXY TCP4 ", tcp);
            stage.Pass(Timeouts.Default.HeadMs - 10);
            slow.Say("1");
            stage.Settle();
            Assert.Equal(("open", "open"), (silent.End, slow.End));
            stage.Pass(20);
            Assert.DoesNotContain("open", new[] { silent.End, slow.End });
            Assert.Equal(0, stage.Proxy.OpenCount);
        }
    }

    [Fact]
    public void Over_tcp_the_header_is_taken_off_before_a_worker_hears_anything()
    {
        var stage = Listening(ProxyProtocolMode.Required);
        var client = stage.Client(Header[..20], tcp: true);
        Assert.False(stage.HasMoreAtWorkers);
        client.Say(Header[20..] + "hello");
        var worker = stage.NextAtWorker();
        Assert.Equal("hello", worker.Heard);
        worker.Say("hi");
        client.Say(" again");
        stage.Settle();
        Assert.Equal(("hello again", "hi"), (worker.Heard, client.Heard));
    }

    [Theory]
    [InlineData(ProxyVersion.V1, "PROXY TCP4 192.168.0.1 127.0.0.1 40000 8000\r\n")]
    [InlineData(ProxyVersion.V2, "\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u000c\u00c0\u00a8\0\u0001\u007f\0\0\u0001\u009c\u0040\u001f\u0040")]
    public void A_worker_is_told_whose_connection_it_is(ProxyVersion version, string header)
    {
        var stage = new Stage(pooling: p => p with { ProxyProtocol = version });
        stage.Client("hello", tcp: true);
        Assert.Equal(header + "hello", stage.NextAtWorker().Heard);
        stage.Client(Get);
        Assert.StartsWith(header + "GET / HTTP/1.1\r\n", stage.NextAtWorker().Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_header_that_came_in_goes_on()
    {
        var stage = Listening(ProxyProtocolMode.Required, p => p with { ProxyProtocol = ProxyVersion.V1, Acceleration = Acceleration.Sockmap });
        stage.Client(Header + "hello", tcp: true);
        Assert.Equal("PROXY TCP4 203.0.113.9 127.0.0.1 4711 8000\r\nhello", stage.NextAtWorker().Heard);
    }

    [Fact]
    public void A_connection_that_says_whose_it_is_serves_one_request()
    {
        var stage = new Stage(pooling: p => p with { ProxyProtocol = ProxyVersion.V1 });
        var client = stage.Client(Get);
        for (var i = 0; i < 4; i++)
        {
            var worker = stage.NextAtWorker();
            Assert.StartsWith("PROXY TCP4 192.168.0.1 ", worker.Heard, StringComparison.Ordinal);
            worker.Say(Ok);
            stage.Settle();
            Assert.NotEqual("open", worker.End);
            if (i == 0)
            {
                client.Say(Get + Get + Get);
            }
        }

        Assert.Equal(4, stage.Of(Outcome.Completed));
        Assert.Equal(0, stage.Proxy.Metrics.UpstreamReuses + stage.Proxy.Metrics.PipelinedRequests);
        var other = stage.Client(Get, from: s_stranger);
        Assert.StartsWith("PROXY TCP4 10.0.0.1 ", stage.NextAtWorker().Heard, StringComparison.Ordinal);
        Assert.Equal("open", other.End);
    }

    [Fact]
    public void A_worker_that_takes_no_header_is_left_in_time_for_another()
    {
        var stage = new Stage(workers: 2, pooling: p => p with { ProxyProtocol = ProxyVersion.V2 });
        var client = stage.Client(Get);
        var worker = stage.NextAtWorker();
        worker.Socket.Close(reset: true);
        stage.Settle();
        var next = stage.NextAtWorker();
        Assert.NotEqual(worker.Endpoint, next.Endpoint);
        next.Say(Ok);
        stage.Settle();
        Assert.EndsWith("ok", client.Heard, StringComparison.Ordinal);
    }

    private static Stage Listening(ProxyProtocolMode mode, Func<PoolSettings, PoolSettings>? pooling = null) => new(
        listening: l => l with { ProxyProtocol = mode, ProxyProtocolFrom = new NetworkSet([IPNetwork.Parse("192.168.0.0/16")]) },
        pooling: pooling);
}
