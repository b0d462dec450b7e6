using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Simulation;

/// <summary>WebSockets that are told to close, because FastLB or their worker stops.</summary>
public sealed class WebSocketScenarioTests
{
    private const string Upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    private const string Switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    private const string Hello = "\u0081\u0005hello";
    private const string MaskedHi = "\u0081\u0082\u0000\u0000\u0000\u0000hi";
    private const string GoingAway = "\u0088\u0002\u0003\u00E9";
    private const string ServiceRestart = "\u0088\u0002\u0003\u00F4";
    private const string MaskedClose = "\u0088\u0082\u0000\u0000\u0000\u0000\u0003\u00E9";

    private static readonly Timeouts s_timeouts = new() { DrainMs = 2_000 };

    private readonly Stage _stage = new(s_timeouts);
    private readonly StageSocket _client;
    private readonly StageSocket _worker;
    private readonly int _clientHead;
    private readonly int _workerHead;

    public WebSocketScenarioTests() => (_client, _worker, _clientHead, _workerHead) = Open(_stage);

    private string AtClient => _client.Heard[_clientHead..];

    private string AtWorker => _worker.Heard[_workerHead..];

    private TunnelCountersView Counters => new(_stage);

    [Fact]
    public void On_drain_the_client_is_told_within_half_the_time_and_its_answer_reaches_the_worker()
    {
        _worker.Say(Hello);
        _stage.Settle();
        _stage.Proxy.BeginDrain(100);
        _stage.Settle();
        Assert.Equal(Hello, AtClient);
        _stage.Pass(1_001);
        Assert.Equal(Hello + GoingAway, AtClient);
        Assert.Equal("open", _client.End);
        _client.Say(MaskedHi + MaskedClose);
        _stage.Settle();
        Assert.Equal(MaskedHi + MaskedClose, AtWorker);
        Assert.Equal(("ended", "ended"), (_client.End, _worker.End));
        Assert.Equal(1, _stage.Of(Outcome.Completed));
        Assert.Equal((0, 1, 1), (Counters.Open, Counters.ToldToClose, Counters.MessagesFromClients));
    }

    [Fact]
    public void The_frame_that_the_client_is_getting_comes_first_wherever_it_is_cut()
    {
        var frames = Hello + "\u0082\u007E\u0000\u00C8" + new string('x', 200) + Hello;
        var ends = new[] { 0, 7, 7 + 204, frames.Length };
        for (var cut = 0; cut <= frames.Length; cut++)
        {
            var stage = new Stage(s_timeouts);
            var (client, worker, head, _) = Open(stage);
            if (cut > 0)
            {
                worker.Say(frames[..cut]);
            }

            stage.Settle();
            stage.Proxy.BeginDrain(100);
            stage.Pass(1_001);
            if (cut < frames.Length)
            {
                worker.Say(frames[cut..]);
            }

            stage.Settle();
            var end = ends.First(e => e >= cut);
            Assert.Equal(frames[..end] + GoingAway, client.Heard[head..]);
        }
    }

    [Fact]
    public void What_the_worker_sends_after_the_close_frame_is_thrown_away_and_keeps_nobody()
    {
        _stage.Proxy.BeginDrain(100);
        _stage.Pass(1_001);
        for (var i = 0; i < 100; i++)
        {
            _worker.Say(string.Concat(Enumerable.Repeat(Hello, 1_000)));
            _stage.Settle();
        }

        Assert.Equal(GoingAway, AtClient);
        _client.Say(MaskedClose);
        _stage.Settle();
        Assert.Equal("ended", _client.End);
        Assert.Equal(0, _stage.Loop.Buffers.Rented);
    }

    [Fact]
    public void A_client_that_does_not_answer_is_closed_after_a_bounded_time_and_the_worker_told()
    {
        _stage.Proxy.BeginDrain(100);
        _stage.Pass(1_001);
        Assert.Equal("open", _client.End);
        _stage.Pass(2_001);
        Assert.Equal("ended", _client.End);
        Assert.Equal("\u0088\u0082", AtWorker[..2]);
        Assert.Equal(8, AtWorker.Length);
        Assert.Equal(1001, ((AtWorker[6] ^ AtWorker[2]) << 8) | (AtWorker[7] ^ AtWorker[3]));
        Assert.Equal("ended", _worker.End);
    }

    [Fact]
    public void What_a_client_says_after_its_worker_was_told_does_not_come_behind_the_close_frame()
    {
        // The worker reads nothing, and four bytes of the frame have room.
        const int room = 512;
        var stage = new Stage(s_timeouts, mood: new NetworkMood { WorkerSocketBytes = room });
        var (client, worker, _, head) = Open(stage);
        client.Say("\u0082\u00FE\u0001\u00F4\u0000\u0000\u0000\u0000" + new string('x', room - 4 - 8));
        stage.Settle();
        stage.Proxy.BeginDrain(100);
        stage.Pass(3_002);
        client.Say(MaskedHi);
        stage.Settle();

        var heard = worker.Heard[head..];
        for (var before = -1; before != heard.Length; heard = worker.Heard[head..])
        {
            before = heard.Length;
            stage.Settle();
        }

        Assert.Equal((room - 4) + 8, heard.Length);
        Assert.Equal("\u0088\u0082", heard[^8..^6]);
    }

    [Fact]
    public void A_worker_that_leaves_first_does_not_cost_the_client_its_time_to_answer()
    {
        _stage.Proxy.BeginDrain(100);
        _stage.Pass(1_001);
        _worker.Socket.Close(reset: true);
        _stage.Settle();
        Assert.NotEqual("reset", _client.End);
        _client.Say(MaskedClose);
        _stage.Settle();
        Assert.Equal("ended", _client.End);
    }

    [Fact]
    public void A_client_in_the_middle_of_its_own_frame_finishes_it()
    {
        _client.Say(MaskedHi[..5]);
        _stage.Settle();
        _stage.Proxy.BeginDrain(100);
        _stage.Pass(1_001);
        Assert.Equal(GoingAway, AtClient);
        _client.Say(MaskedHi[5..] + MaskedClose);
        _stage.Settle();
        Assert.Equal(MaskedHi + MaskedClose, AtWorker);
        Assert.Equal("ended", _client.End);
    }

    [Theory]
    [InlineData("\u0083\u0000")]
    [InlineData("GET / HTTP/1.1")]
    public void What_is_no_WebSocket_goes_on_as_it_is_and_is_reset_at_the_deadline(string bytes)
    {
        _worker.Say(bytes);
        _stage.Settle();
        _stage.Proxy.BeginDrain(100);
        _stage.Pass(1_500);
        Assert.Equal(bytes, AtClient);
        Assert.Equal("open", _client.End);
        _stage.Proxy.CutOff();
        _stage.Settle();
        Assert.Equal(("reset", "reset"), (_client.End, _worker.End));
        Assert.Equal(1, _stage.Of(Outcome.DrainDeadline));
    }

    [Fact]
    public void Another_upgrade_is_cut_at_the_deadline_as_ever()
    {
        var stage = new Stage(s_timeouts);
        var (client, _, head, _) = Open(stage, "other");
        stage.Proxy.BeginDrain(100);
        stage.Pass(1_900);
        Assert.Equal(("", "open"), (client.Heard[head..], client.End));
        stage.Proxy.CutOff();
        stage.Settle();
        Assert.Equal("reset", client.End);
    }

    [Fact]
    public void WebSockets_are_told_spread_over_the_window()
    {
        var stage = new Stage(s_timeouts);
        var clients = Enumerable.Range(0, 100).Select(_ => Open(stage)).ToArray();
        stage.Proxy.BeginDrain(100);
        var told = new List<int>();
        for (var tenth = 0; tenth < 10; tenth++)
        {
            stage.Pass(100);
            told.Add(clients.Count(c => c.Client.Heard.EndsWith(GoingAway, StringComparison.Ordinal)));
        }

        Assert.All(told.Zip(told.Prepend(0)), pair => Assert.InRange(pair.First - pair.Second, 1, 30));
        stage.Pass(2);
        Assert.All(clients, c => Assert.EndsWith(GoingAway, c.Client.Heard, StringComparison.Ordinal));
    }

    [Fact]
    public void WebSockets_of_a_worker_whose_place_is_taken_are_told_to_come_back_and_those_of_others_are_not()
    {
        var stage = new Stage(s_timeouts, workers: 2);
        var (one, workerOfOne, head, _) = Open(stage);
        var (two, _, _, _) = Open(stage);
        var leaving = stage.Workers.Single(w => w.Endpoint.Equals(workerOfOne.Endpoint));
        var staying = stage.Workers.Single(w => w != leaving);
        stage.Pool.Publish(new WorkerSet([staying, Stage.MakeWorker(leaving.Slot, 2)], [leaving]));
        stage.Proxy.OnPublished(stage.Pool);
        stage.Pass(1_001);
        Assert.Equal(ServiceRestart, one.Heard[head..]);
        one.Say(MaskedClose);
        stage.Settle();
        Assert.Equal(0, leaving.InFlight);
        Assert.Equal(1, staying.InFlight);
        Assert.Equal(head, two.Heard.Length);
    }

    [Fact]
    public void A_worker_that_drains_without_a_successor_keeps_sessions_whose_cookie_would_bring_them_back()
    {
        var stage = new Stage(s_timeouts, workers: 2, sticky: new StickySettings("SID", "0123456789abcdef"));
        var (client, worker, head, _) = Open(stage);
        var leaving = stage.Workers.Single(w => w.Endpoint.Equals(worker.Endpoint));
        stage.Pool.Publish(new WorkerSet(stage.Workers.Where(w => w != leaving), [leaving]));
        stage.Proxy.OnPublished(stage.Pool);
        stage.Pass(1_900);
        Assert.Equal(("", "open"), (client.Heard[head..], client.End));
    }

    [Fact]
    public void A_WebSocket_that_is_being_closed_when_a_drain_begins_is_told_nothing_and_waits_for_nothing()
    {
        // In one of these turns the second end has come, and the loop has not let the connection go yet.
        for (var turns = 0; turns < 6; turns++)
        {
            var stage = new Stage(s_timeouts);
            var (client, worker, head, _) = Open(stage);
            client.Socket.ShutdownWrite();
            stage.Settle();
            worker.Socket.ShutdownWrite();
            for (var i = 0; i < turns; i++)
            {
                stage.Network.Deliver();
                stage.Loop.RunTurn();
            }

            stage.Loop.Post(new Drain(stage));
            stage.Pass(2_000);
            Assert.Equal(("", "ended"), (client.Heard[head..], client.End));
        }
    }

    [Fact]
    public void A_WebSocket_that_opens_during_the_drain_is_told_as_well()
    {
        var stage = new Stage(s_timeouts);
        var client = stage.Client(Upgrade);
        stage.Proxy.BeginDrain(100);
        stage.NextAtWorker().Say(Switching);
        stage.Settle();
        stage.Pass(1_001);
        Assert.EndsWith(GoingAway, client.Heard, StringComparison.Ordinal);
    }

    [Fact]
    public void A_lifetime_ends_a_WebSocket_politely_and_anything_else_with_a_reset()
    {
        var timeouts = s_timeouts with { TunnelLifetimeMs = 500 };
        var stage = new Stage(timeouts);
        var (client, worker, head, _) = Open(stage);
        var (other, _, _, _) = Open(stage, "other");
        var tcp = stage.Client("x", tcp: true);
        stage.NextAtWorker();
        for (var i = 0; i < 5; i++)
        {
            worker.Say(Hello);
            stage.Pass(99);
        }

        Assert.Equal(("open", "open", "open"), (client.End, other.End, tcp.End));
        stage.Pass(10);
        Assert.EndsWith(GoingAway, client.Heard[head..], StringComparison.Ordinal);
        Assert.Equal(("reset", "reset"), (other.End, tcp.End));
        client.Say(MaskedClose);
        stage.Settle();
        Assert.Equal("ended", client.End);
    }

    [Fact]
    public void Bytes_and_messages_are_counted_in_each_direction()
    {
        _worker.Say(Hello + Hello[..3]);
        _client.Say(MaskedHi);
        _stage.Settle();
        Assert.Equal((1, 1, 1), (Counters.Open, Counters.MessagesFromClients, Counters.MessagesToClients));
        Assert.Equal((MaskedHi.Length, 10), (Counters.BytesFromClients, Counters.BytesToClients));
        _worker.Say(Hello[3..]);
        _stage.Settle();
        Assert.Equal(2, Counters.MessagesToClients);
        _client.Socket.Close(reset: true);
        _stage.Settle();
        Assert.Equal(0, Counters.Open);
    }

    private static (StageSocket Client, StageSocket Worker, int ClientHead, int WorkerHead) Open(Stage stage, string protocol = "websocket")
    {
        var client = stage.Client(Upgrade.Replace("websocket", protocol, StringComparison.Ordinal));
        var worker = stage.NextAtWorker();
        worker.Say(Switching.Replace("websocket", protocol, StringComparison.Ordinal));
        stage.Settle();
        Assert.StartsWith("HTTP/1.1 101 ", client.Heard, StringComparison.Ordinal);
        return (client, worker, client.Heard.Length, worker.Heard.Length);
    }

    private sealed record TunnelCountersView(Stage Stage)
    {
        private FastLB.Core.Proxy.TunnelCounters Counters => Stage.Proxy.Pools[0].Counters.Tunnels;

        public long Open => Counters.Open;

        public long ToldToClose => Counters.ToldToClose;

        public long MessagesFromClients => Counters.MessagesFromClients;

        public long MessagesToClients => Counters.MessagesToClients;

        public long BytesFromClients => Counters.BytesFromClients;

        public long BytesToClients => Counters.BytesToClients;
    }

    private sealed class Drain(Stage stage) : PostedWork
    {
        public override void Run(EventLoop loop) => stage.Proxy.BeginDrain(stage.Http, 100);
    }
}
