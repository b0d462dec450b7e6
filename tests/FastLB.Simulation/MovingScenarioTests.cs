using System.Text;
using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Metrics;

namespace FastLB.Simulation;

/// <summary>Scenes in which the kernel moves the bytes. What clients and workers see is the same as when they are copied.</summary>
public sealed class MovingScenarioTests
{
    private const int Worth = 1_000;
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    private static readonly Timeouts s_timeouts = Timeouts.Default with { TunnelMs = 10_000, BodyMs = 2_000, ResponseMs = 3_000 };

    [Fact]
    public void A_tunnels_direction_that_brings_much_is_moved_and_one_that_brings_little_is_not()
    {
        var stage = Moving();
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        Assert.Equal("hello", worker.Heard);
        worker.Say("small");
        stage.Settle();
        Assert.Equal(0, stage.Loop.MovesBegun);

        worker.Say(Text(0, Worth));
        stage.Settle();
        Assert.Equal(1, stage.Loop.MovesBegun);
        worker.Say(Text(Worth, 50_000));
        client.Say("more");
        stage.Settle();
        Assert.Equal("small" + Latin1(Text(0, Worth + 50_000)), client.Heard);
        Assert.Equal("hellomore", worker.Heard);

        client.Socket.ShutdownWrite();
        worker.Say("last");
        worker.Socket.ShutdownWrite();
        stage.Settle();
        Assert.EndsWith("last", client.Heard, StringComparison.Ordinal);
        Assert.Equal(("ended", "ended"), (client.End, worker.End));
        Assert.Equal((1, 1), (stage.Of(Outcome.Completed), stage.Outcomes));
        Assert.Equal((9, 5 + Worth + 50_000 + 4, 50_004), Counted(stage));
    }

    [Fact]
    public void A_move_that_gives_way_goes_on_by_copying()
    {
        var stage = Moving();
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        worker.Say(Text(0, Worth));
        stage.Settle();
        worker.Say(Text(Worth, 10));
        stage.Settle();
        stage.Loop.YieldsMoves = 1;
        worker.Say(Text(Worth + 10, 10));
        stage.Settle();
        Assert.Equal(Latin1(Text(0, Worth + 20)), client.Heard);
        Assert.Equal((5, Worth + 20, 10), Counted(stage));
        Assert.Equal(1, stage.Loop.MovesBegun);
    }

    [Fact]
    public void Where_nothing_can_be_moved_everything_is_copied()
    {
        var stage = Moving();
        stage.Loop.RefusesMoves = 1;
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        worker.Say(Text(0, 100_000));
        stage.Settle();
        Assert.Equal(Latin1(Text(0, 100_000)), client.Heard);
        Assert.Equal((5, 100_000, 0), Counted(stage));
    }

    [Fact]
    public void A_moved_tunnel_whose_reader_is_slow_lives_and_one_whose_reader_is_silent_ends()
    {
        var stage = Moving();
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        worker.Say(Text(0, 200_000));
        stage.Settle();
        worker.Say(Text(200_000, 200_000));
        stage.Settle();
        Assert.Equal(1, stage.Loop.MovesBegun);
        var chunk = new byte[8_000];
        for (var i = 0; i < 5; i++)
        {
            stage.Pass(s_timeouts.TunnelMs - 1_000);
            Assert.Equal(chunk.Length, client.Socket.Read(chunk));
            stage.Settle();
        }

        Assert.Equal(0, stage.Outcomes);
        stage.Pass((2 * s_timeouts.TunnelMs) + 1_000);
        Assert.Equal((1, 1), (stage.Of(Outcome.ClientTimeout), stage.Outcomes));
        Assert.Equal("reset", worker.End);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_side_that_breaks_while_bytes_are_moved_ends_the_tunnel_with_its_name(bool clientBreaks)
    {
        var stage = Moving();
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        worker.Say(Text(0, 5_000));
        stage.Settle();
        worker.Say(Text(0, 5_000));
        stage.Settle();
        Assert.Equal(1, stage.Loop.MovesBegun);
        (clientBreaks ? client : worker).Socket.Close(reset: true);
        worker.Socket.Incoming.Arrived.Clear();
        stage.Settle();
        Assert.Equal(1, stage.Of(clientBreaks ? Outcome.ClientAborted : Outcome.WorkerTruncated));
        Assert.Equal("reset", (clientBreaks ? worker : client).End);
        Assert.Equal(0, stage.Loop.OpenPeers);
    }

    [Fact]
    public void An_answer_is_moved_to_its_last_byte_and_both_connections_serve_again()
    {
        var stage = Moving();
        var client = stage.Client(Get);
        var worker = stage.NextAtWorker();
        var body = Text(0, 40_000);
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n");
        worker.Say(body[..Worth]);
        stage.Settle();
        worker.Say(body[Worth..30_000]);
        stage.Settle();
        Assert.Equal(1, stage.Loop.MovesBegun);
        worker.Say(body[30_000..]);
        stage.Settle();
        Assert.EndsWith("\r\n\r\n" + Latin1(body), client.Heard, StringComparison.Ordinal);
        Assert.Equal(40_000 - Worth, stage.Proxy.Metrics.BytesMoved);
        Assert.Equal(client.Heard.Length, stage.Proxy.Metrics.BytesToClients);
        Assert.Equal((1, 1), (stage.Of(Outcome.Completed), stage.Outcomes));

        client.Say(Get);
        stage.Settle();
        Assert.False(stage.HasMoreAtWorkers);
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        stage.Settle();
        Assert.EndsWith("\r\n\r\nhi", client.Heard, StringComparison.Ordinal);
        Assert.Equal(2, stage.Of(Outcome.Completed));
    }

    [Fact]
    public void An_answer_that_ends_with_its_connection_is_moved_to_a_client_that_takes_it_so_and_chunks_never_are()
    {
        var stage = Moving();
        var old = stage.Client("GET / HTTP/1.0\r\n\r\n");
        var worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        worker.Say(Text(0, 10_000));
        stage.Settle();
        worker.Say(Text(10_000, 10_000));
        stage.Settle();
        worker.Socket.ShutdownWrite();
        stage.Settle();
        Assert.EndsWith("\r\n\r\n" + Latin1(Text(0, 20_000)), old.Heard, StringComparison.Ordinal);
        Assert.Equal("ended", old.End);
        Assert.Equal((1, 1, 10_000), (stage.Of(Outcome.Completed), stage.Loop.MovesBegun, stage.Proxy.Metrics.BytesMoved));

        stage.Client(Get);
        worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (var i = 0; i < 3; i++)
        {
            worker.Say(SimRequest.Chunked(Text(0, 10_000), most => most - 1)[..^5]);
            stage.Settle();
        }

        Assert.Equal(1, stage.Loop.MovesBegun);
    }

    [Fact]
    public void A_requests_body_is_moved_to_its_last_byte_and_what_follows_is_the_next_request()
    {
        var stage = Moving();
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n");
        var worker = stage.NextAtWorker();
        var body = Text(0, 40_000);
        client.Say(body[..Worth]);
        stage.Settle();
        client.Say(body[Worth..30_000]);
        stage.Settle();
        Assert.Equal(1, stage.Loop.MovesBegun);
        client.Say([.. body[30_000..], .. Encoding.Latin1.GetBytes(Get)]);
        stage.Settle();
        Assert.EndsWith("\r\n\r\n" + Latin1(body), worker.Heard, StringComparison.Ordinal);
        Assert.Equal(40_000 - Worth, stage.Proxy.Metrics.BytesMoved);
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        stage.Settle();
        Assert.Contains("GET / HTTP/1.1", worker.Heard[^200..], StringComparison.Ordinal);
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
        stage.Settle();
        Assert.EndsWith("two", client.Heard, StringComparison.Ordinal);
        Assert.Equal((2, 2), (stage.Of(Outcome.Completed), stage.Outcomes));
    }

    [Theory]
    [InlineData("worker ends", Outcome.WorkerTruncated)]
    [InlineData("worker breaks", Outcome.WorkerTruncated)]
    [InlineData("client breaks", Outcome.ClientAborted)]
    [InlineData("client ends", null)]
    [InlineData("worker is silent", Outcome.WorkerTimeout)]
    [InlineData("client is silent", Outcome.ClientTimeout)]
    [InlineData("drain", Outcome.DrainDeadline)]
    public void What_befalls_an_answer_on_the_move_ends_it_as_it_would_a_copied_one(string what, Outcome? outcome)
    {
        var stage = Moving();
        var client = stage.Client(Get);
        var worker = stage.NextAtWorker();
        worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n");
        worker.Say(Text(0, Worth));
        stage.Settle();
        if (what == "client is silent")
        {
            // Socket buffers and the pipe take part of it; the client takes nothing.
            worker.Say(Text(0, 250_000));
            stage.Settle();
            worker.Say(Text(0, 250_000));
            stage.Settle();
            Assert.Contains(stage.Loop.Peers, stage.Loop.IsMoveAwaitingTarget);
        }
        else
        {
            Assert.True(client.Heard.Length > Worth);
        }

        Assert.Equal(1, stage.Loop.MovesBegun);
        switch (what)
        {
            case "worker ends":
                worker.Socket.ShutdownWrite();
                break;
            case "worker breaks":
                worker.Socket.Close(reset: true);
                break;
            case "client breaks":
                client.Socket.Close(reset: true);
                break;
            case "client ends":
                client.Socket.ShutdownWrite();
                break;
            case "drain":
                stage.Proxy.CutOff();
                break;
            default:
                stage.Pass((3 * s_timeouts.BodyMs) + (3 * s_timeouts.ResponseMs));
                break;
        }

        stage.Settle();
        if (outcome is null)
        {
            // It has said all that it will say, and is still answered.
            Assert.Equal(0, stage.Outcomes);
            worker.Say(Text(Worth, 100_000));
            stage.Settle();
            Assert.EndsWith(Latin1(Text(Worth, 100_000)), client.Heard, StringComparison.Ordinal);
            return;
        }

        Assert.Equal((1, 1), (stage.Of(outcome.Value), stage.Outcomes));
        Assert.True(client.Socket.IsClosed || client.End == "reset", "half an answer never looks whole");
        Assert.Equal(0, stage.Loop.OpenPeers);
        Assert.Equal(0, stage.Loop.Buffers.Rented);
    }

    [Fact]
    public void A_slow_client_or_a_slow_worker_lives_while_its_answer_is_moved()
    {
        foreach (var slowClient in new[] { true, false })
        {
            var stage = Moving();
            var client = stage.Client(Get);
            var worker = stage.NextAtWorker();
            worker.Say("HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n");
            worker.Say(Text(0, Worth));
            stage.Settle();
            if (slowClient)
            {
                worker.Say(Text(0, 250_000));
                stage.Settle();
                worker.Say(Text(0, 250_000));
            }

            var chunk = new byte[8_000];
            for (var i = 0; i < 10; i++)
            {
                stage.Pass(slowClient ? s_timeouts.BodyMs - 500 : s_timeouts.ResponseMs - 500);
                if (slowClient)
                {
                    Assert.True(client.Socket.Read(chunk) > 0);
                }
                else
                {
                    worker.Say(Text(0, 10));
                }

                stage.Settle();
            }

            Assert.Equal((0, 1), (stage.Outcomes, stage.Loop.MovesBegun));
        }
    }

    [Fact]
    public void A_client_that_sends_its_body_slowly_lives_while_it_is_moved()
    {
        var stage = Moving();
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n");
        stage.NextAtWorker();
        client.Say(Text(0, Worth));
        stage.Settle();
        for (var i = 0; i < 10; i++)
        {
            stage.Pass(s_timeouts.BodyMs - 500);
            client.Say(Text(0, 10));
            stage.Settle();
        }

        Assert.Equal((0, 1), (stage.Outcomes, stage.Loop.MovesBegun));
    }

    [Theory]
    [InlineData("client ends", Outcome.ClientAborted)]
    [InlineData("client breaks", Outcome.ClientAborted)]
    [InlineData("client is silent", Outcome.ClientTimeout)]
    [InlineData("worker is silent", Outcome.WorkerTimeout)]
    [InlineData("worker refuses", Outcome.Completed)]
    [InlineData("worker breaks", Outcome.WorkerClosed)]
    public void What_befalls_a_request_on_the_move_ends_it_as_it_would_a_copied_one(string what, Outcome outcome)
    {
        var stage = Moving();
        var client = stage.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n");
        var worker = stage.NextAtWorker();
        client.Say(Text(0, Worth));
        stage.Settle();
        Assert.Equal(1, stage.Loop.MovesBegun);
        switch (what)
        {
            case "client ends":
                client.Socket.ShutdownWrite();
                break;
            case "client breaks":
                client.Socket.Close(reset: true);
                break;
            case "client is silent":
                stage.Pass(s_timeouts.BodyMs + s_timeouts.BodyMs);
                break;
            case "worker is silent":
                client.Say(Text(0, 250_000));
                stage.Settle();
                client.Say(Text(0, 250_000));
                stage.Settle();
                stage.Pass(4 * s_timeouts.ResponseMs);
                break;
            case "worker refuses":
                worker.Say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
                stage.Settle();
                Assert.Contains("\r\nConnection: close\r\n", client.Heard, StringComparison.OrdinalIgnoreCase);
                Assert.EndsWith("no", client.Heard, StringComparison.Ordinal);

                // What the client still sends is read and thrown away, so that the answer survives.
                client.Say(Text(0, 100_000));
                stage.Settle();
                Assert.Equal("ended", client.End);
                client.Socket.Close();
                break;
            default:
                worker.Socket.Close(reset: true);
                break;
        }

        stage.Settle();
        Assert.Equal((1, 1), (stage.Of(outcome), stage.Outcomes));
        stage.Pass(s_timeouts.BodyMs + s_timeouts.ResponseMs);
        Assert.Equal(0, stage.Loop.OpenPeers);
        Assert.Equal(0, stage.Loop.Buffers.Rented);
    }

    [Fact]
    public void Joined_connections_are_counted_timed_and_ended_although_nobody_sees_their_bytes()
    {
        var stage = Moving(Acceleration.Sockmap);
        stage.Loop.Joins = true;
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        worker.Say("welcome");
        stage.Settle();
        Assert.Equal(("hello", "welcome", 1), (worker.Heard, client.Heard, stage.Loop.PairsJoined));
        stage.Pass(1_001);
        Assert.Equal((5, 7, 12), Counted(stage));

        // As long as something passes now and then it lives, and each direction ends alone.
        for (var i = 0; i < 5; i++)
        {
            stage.Pass(s_timeouts.TunnelMs - 1_500);
            client.Say("x");
            stage.Settle();
        }

        client.Socket.ShutdownWrite();
        stage.Settle();
        Assert.Equal(("helloxxxxx", "ended"), (worker.Heard, worker.End));
        worker.Say("bye");
        worker.Socket.ShutdownWrite();
        stage.Settle();
        Assert.Equal(("welcomebye", "ended"), (client.Heard, client.End));
        Assert.Equal((10, 10, 20), Counted(stage));
        Assert.Equal((1, 1), (stage.Of(Outcome.Completed), stage.Outcomes));

        var silent = stage.Client("hello", tcp: true);
        var other = stage.NextAtWorker();
        stage.Pass(s_timeouts.TunnelMs - 500);
        Assert.Equal(1, stage.Outcomes);
        stage.Pass(2_000);
        Assert.Equal((1, 2), (stage.Of(Outcome.ClientTimeout), stage.Outcomes));
        Assert.Equal(("reset", "reset"), (silent.End, other.End));
    }

    [Fact]
    public void A_joined_direction_that_gives_way_is_copied_while_the_other_goes_on()
    {
        var stage = Moving(Acceleration.Sockmap);
        stage.Loop.Joins = true;
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        stage.Loop.YieldsMoves = 1;
        worker.Say("one");
        stage.Settle();
        worker.Say("two");
        client.Say("three");
        stage.Settle();
        Assert.Equal(("onetwo", "hellothree"), (client.Heard, worker.Heard));
        Assert.Equal(2, stage.Loop.MovesBegun);
        client.Socket.ShutdownWrite();
        worker.Socket.ShutdownWrite();
        stage.Settle();
        Assert.Equal((10, 6), (stage.Proxy.Metrics.BytesFromClients, stage.Proxy.Metrics.BytesToClients));
        Assert.Equal((1, 1), (stage.Of(Outcome.Completed), stage.Outcomes));
    }

    [Fact]
    public void Copying_is_all_that_is_done_where_that_is_wanted()
    {
        var stage = Moving(Acceleration.Copy);
        stage.Loop.Joins = true;
        var client = stage.Client("hello", tcp: true);
        var worker = stage.NextAtWorker();
        for (var i = 0; i < 3; i++)
        {
            worker.Say(Text(0, 2 * Worth));
            stage.Settle();
        }

        Assert.Equal(6 * Worth, client.Heard.Length);
        Assert.Equal((0, 0), (stage.Loop.MovesBegun, stage.Loop.PairsJoined));
    }

    private static Stage Moving(Acceleration acceleration = Acceleration.Auto)
    {
        var stage = new Stage(s_timeouts, acceleration: acceleration);
        stage.Loop.WorthMoving = Worth;
        return stage;
    }

    private static (long In, long Out, long Moved) Counted(Stage stage) =>
        (stage.Proxy.Metrics.BytesFromClients, stage.Proxy.Metrics.BytesToClients, stage.Proxy.Metrics.BytesMoved);

    private static byte[] Text(int from, int length) => Pattern.Make(1, Pattern.Tunnel, length, from);

    private static string Latin1(byte[] bytes) => Encoding.Latin1.GetString(bytes);
}
