using System.Net;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;
using FastLB.Core.Resilience;
using HttpListener = FastLB.Core.Proxy.HttpListener;

namespace FastLB.Simulation;

/// <summary>A listener that has as many connections as it may.</summary>
public sealed class FullListenerScenarioTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private static readonly ClientAddress s_other = new(0x0A000001, 1);

    [Fact]
    public void One_too_many_is_answered_and_closed_in_good_order_and_a_place_that_is_left_is_taken_again()
    {
        var places = new ConnectionPlaces(2);
        var stage = new Stage(places: places);
        var first = stage.Client(Get);
        stage.Client(Get);
        var third = stage.Client(Get);
        Assert.StartsWith("HTTP/1.1 503 Service Unavailable\r\n", third.Heard, StringComparison.Ordinal);
        Assert.Contains("Retry-After: 1\r\n", third.Heard, StringComparison.Ordinal);
        Assert.Contains("Connection: close\r\n", third.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", third.End);
        Assert.Equal((2, 1, 1), (places.InUse, places.TurnedAway, stage.Of(Outcome.ConnectionLimit)));

        // What it had asked is read and thrown away, so that its answer is not destroyed; then it is closed, and nobody's place is given back for it.
        stage.Pass(3_000);
        Assert.Equal((2, 2), (places.InUse, stage.Proxy.OpenCount));
        first.Socket.Close(reset: true);
        stage.Settle();
        Assert.Equal(1, places.InUse);
        var fourth = stage.Client(Get);
        stage.NextAtWorker();
        stage.NextAtWorker();
        stage.NextAtWorker().Say(Ok);
        stage.Settle();
        Assert.EndsWith("ok", fourth.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Not_even_those_who_are_only_told_so_are_without_a_bound()
    {
        var stage = new Stage(places: new ConnectionPlaces(1));
        var clients = Enumerable.Range(0, 1 + HttpListener.MaxAnsweredAtOnce + 3).Select(_ => stage.Client()).ToArray();
        Assert.Equal(HttpListener.MaxAnsweredAtOnce, clients.Count(c => c.Heard.StartsWith("HTTP/1.1 503 ", StringComparison.Ordinal)));
        Assert.Equal(3, stage.Proxy.Metrics.ConnectionsRefused);
        stage.Pass(3_000);
        Assert.StartsWith("HTTP/1.1 503 ", stage.Client().Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_client_with_too_many_is_told_so_and_takes_nobodys_place()
    {
        var (stage, places) = LimitedPerClient(1);
        stage.Client(Get);
        var second = stage.Client(Get);
        Assert.StartsWith("HTTP/1.1 429 Too Many Requests\r\n", second.Heard, StringComparison.Ordinal);
        Assert.Contains("Retry-After: 1\r\n", second.Heard, StringComparison.Ordinal);
        Assert.Contains("Connection: close\r\n", second.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", second.End);
        Assert.Equal((1, 1, 0, 1), (places.InUse, stage.Proxy.Metrics.ConnectionsRefused, places.TurnedAway, stage.Of(Outcome.ConnectionLimit)));
        Assert.Equal("", stage.Client(Get, from: s_other).Heard);
        stage.Pass(3_000);
        Assert.Equal((2, 2), (places.InUse, stage.Proxy.OpenCount));
    }

    [Fact]
    public void So_is_one_whose_PROXY_header_names_a_client_with_too_many()
    {
        const string Header = "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n";
        var (stage, places) = LimitedPerClient(1, l => l with { ProxyProtocol = ProxyProtocolMode.Required, ProxyProtocolFrom = new NetworkSet([IPNetwork.Parse("192.168.0.0/16")]) });
        var first = stage.Client(Header + Get);
        var second = stage.Client(Header + Get);
        Assert.StartsWith("HTTP/1.1 429 ", second.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", second.End);
        Assert.Equal((1, 1, 1), (places.InUse, stage.Proxy.Metrics.ConnectionsRefused, stage.Of(Outcome.ConnectionLimit)));
        stage.Pass(3_000);
        Assert.Equal((1, 1), (places.InUse, stage.Proxy.OpenCount));

        // And the first one's place, given back once, is there for one more.
        first.Socket.Close(reset: true);
        stage.Settle();
        Assert.Equal("", stage.Client(Header + Get).Heard);
        Assert.StartsWith("HTTP/1.1 429 ", stage.Client(Header + Get).Heard, StringComparison.Ordinal);
        Assert.Equal(1, places.InUse);
    }

    [Fact]
    public void They_are_told_within_the_same_bound_and_counted_once_each()
    {
        var (stage, _) = LimitedPerClient(1);
        var clients = Enumerable.Range(0, 1 + HttpListener.MaxAnsweredAtOnce + 3).Select(_ => stage.Client()).ToArray();
        Assert.Equal(HttpListener.MaxAnsweredAtOnce, clients.Count(c => c.Heard.StartsWith("HTTP/1.1 429 ", StringComparison.Ordinal)));
        Assert.Equal(3, clients.Count(c => c.Heard.Length == 0 && c.End != "open"));
        Assert.Equal(HttpListener.MaxAnsweredAtOnce + 3, stage.Proxy.Metrics.ConnectionsRefused);
        stage.Pass(3_000);
        Assert.StartsWith("HTTP/1.1 429 ", stage.Client().Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Who_waits_is_accepted_when_another_has_left()
    {
        foreach (var tcp in (bool[])[false, true])
        {
            var places = new ConnectionPlaces(2);
            var stage = new Stage(places: places, listening: l => l with { WhenFull = WhenFull.Wait });
            var clients = Enumerable.Range(0, 5).Select(_ => stage.Client(Get, tcp)).ToArray();
            Assert.Equal((2, 2), (places.InUse, stage.Proxy.OpenCount));
            Assert.All(clients, c => Assert.Equal("open", c.End));
            for (var i = 0; i < 5; i++)
            {
                stage.NextAtWorker();
                clients[i].Socket.Close(reset: true);
                stage.Settle();
                Assert.Equal(Math.Min(2, 4 - i), places.InUse);
            }

            Assert.False(stage.HasMoreAtWorkers);
            Assert.Equal(5, stage.Proxy.Metrics.ConnectionsAccepted);
        }
    }

    [Fact]
    public void A_tcp_connection_too_many_is_closed()
    {
        var stage = new Stage(places: new ConnectionPlaces(1));
        Assert.Equal("open", stage.Client("a", tcp: true).End);
        Assert.NotEqual("open", stage.Client("b", tcp: true).End);
        Assert.Equal(1, stage.Proxy.Metrics.ConnectionsRefused);
    }

    [Fact]
    public void The_whole_servers_limit_holds_over_all_listeners_and_wakes_them()
    {
        var total = new ConnectionPlaces(1);
        var stage = new Stage(places: new ConnectionPlaces(0, total), listening: l => l with { WhenFull = WhenFull.Wait });
        var http = stage.Client(Get);
        stage.NextAtWorker();
        var tcp = stage.Client("hello", tcp: true);
        Assert.Equal(1, total.InUse);
        Assert.False(stage.HasMoreAtWorkers);
        http.Socket.Close(reset: true);
        Assert.Equal("hello", stage.NextAtWorker().Heard);
        Assert.Equal((1, "open"), (total.InUse, tcp.End));
    }

    [Fact]
    public void Whoever_is_refused_for_another_reason_takes_no_place()
    {
        foreach (var whenFull in (WhenFull[])[WhenFull.Answer, WhenFull.Wait])
        {
            var places = new ConnectionPlaces(3);
            var stage = new Stage(places: places, listening: l => l with
            {
                WhenFull = whenFull,
                ProxyProtocol = ProxyProtocolMode.Required,
                ProxyProtocolFrom = new NetworkSet([IPNetwork.Parse("10.0.0.0/8")]),
            });
            for (var i = 0; i < 5; i++)
            {
                Assert.NotEqual("open", stage.Client(Get).End);
                Assert.NotEqual("open", stage.Client("x", tcp: true).End);
            }

            Assert.Equal((0, 0), (places.InUse, places.TurnedAway));
        }
    }

    [Fact]
    public void When_the_listener_stops_those_who_wait_are_told_instead_of_being_dropped()
    {
        var stage = new Stage(places: new ConnectionPlaces(1), listening: l => l with { WhenFull = WhenFull.Wait });
        stage.Client(Get);
        var waiting = stage.Client(Get);
        Assert.Equal("", waiting.Heard);
        stage.Loop.StopListening(stage.Http);
        stage.Proxy.BeginDrain(10);
        stage.Settle();
        Assert.StartsWith("HTTP/1.1 503 ", waiting.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void Listeners_that_stop_are_woken_no_more_whether_they_waited_or_not_and_those_who_came_by_them_give_their_places_back()
    {
        foreach (var waits in (bool[])[false, true])
        {
            var total = new ConnectionPlaces(1);
            var places = new ConnectionPlaces(0, total);
            var stage = new Stage(places: places, listening: l => l with { WhenFull = WhenFull.Wait });
            var client = stage.Client(Get);
            if (waits)
            {
                stage.Client(Get);
                stage.Client("hello", tcp: true);
            }

            Assert.Equal((2, waits ? 2 : 0), (total.Registered, total.Waiting));
            stage.Loop.StopListening(stage.Http);
            stage.Loop.StopListening(stage.Tcp);
            stage.Settle();
            Assert.Equal((0, 0, 0, 0), (total.Registered, total.Waiting, places.Registered, places.Waiting));

            // A reload that was under way does not bring them back.
            stage.Http.Use(stage.Http.Settings, stage.Http.Routes, null, places);
            stage.Tcp.Use(stage.Tcp.Settings, null, places);
            Assert.Equal((1, 0), (total.InUse, total.Registered));
            client.Socket.Close(reset: true);
            stage.Settle();
            Assert.Equal(0, total.InUse);
        }
    }

    [Fact]
    public void A_listener_that_stops_while_it_waits_takes_the_next_place_from_no_other_listener()
    {
        var total = new ConnectionPlaces(1);
        var stage = new Stage(places: new ConnectionPlaces(0, total), listening: l => l with { WhenFull = WhenFull.Wait });
        var first = stage.Client(Get);
        stage.NextAtWorker();
        stage.Client(Get);
        var tcp = stage.Client("hello", tcp: true);
        stage.Loop.StopListening(stage.Http);
        stage.Settle();
        Assert.False(stage.HasMoreAtWorkers);
        first.Socket.Close(reset: true);
        Assert.Equal("hello", stage.NextAtWorker().Heard);
        Assert.Equal((1, "open"), (total.InUse, tcp.End));
    }

    [Fact]
    public void A_limit_that_comes_with_a_reload_counts_those_who_come_after_it_and_another_one_wakes_who_waits()
    {
        var stage = new Stage();
        var before = stage.Client(Get);
        var places = new ConnectionPlaces(1);
        var settings = stage.Http.Settings with { WhenFull = WhenFull.Wait };
        stage.Http.Use(settings, stage.Http.Routes, null, places);
        stage.Client(Get);
        var waiting = stage.Client(Get);
        Assert.Equal((1, 2), (places.InUse, stage.Proxy.OpenCount));

        // Who came before gives nothing back.
        before.Socket.Close(reset: true);
        stage.Settle();
        Assert.Equal((1, 1), (places.InUse, stage.Proxy.OpenCount));

        places.Limit = 2;
        stage.Settle();
        Assert.Equal((2, 2, "open"), (places.InUse, stage.Proxy.OpenCount, waiting.End));

        var told = stage.Client(Get);
        Assert.Equal("", told.Heard);
        stage.Http.Use(settings with { WhenFull = WhenFull.Answer }, stage.Http.Routes, null, places);
        stage.Settle();
        Assert.StartsWith("HTTP/1.1 503 ", told.Heard, StringComparison.Ordinal);
    }

    private static (Stage Stage, ConnectionPlaces Places) LimitedPerClient(int limit, Func<ListenerSettings, ListenerSettings>? listening = null)
    {
        var places = new ConnectionPlaces(10);
        var stage = new Stage(listening: listening);
        stage.Http.Use(stage.Http.Settings, stage.Http.Routes, new ConcurrencyPerClient(limit, slots: 100), places);
        return (stage, places);
    }
}
