using System.Text;
using FastLB.Core;
using FastLB.Core.Metrics;

namespace FastLB.Simulation;

/// <summary>Scenes in which the kernel moves the bytes. What clients and workers see is the same as when they are copied.</summary>
public sealed class MovingScenarioTests
{
    private const int Worth = 1_000;

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

    private static Stage Moving()
    {
        var stage = new Stage(s_timeouts);
        stage.Loop.WorthMoving = Worth;
        return stage;
    }

    private static (long In, long Out, long Moved) Counted(Stage stage) =>
        (stage.Proxy.Metrics.BytesFromClients, stage.Proxy.Metrics.BytesToClients, stage.Proxy.Metrics.BytesMoved);

    private static byte[] Text(int from, int length) => Pattern.Make(1, Pattern.Tunnel, length, from);

    private static string Latin1(byte[] bytes) => Encoding.Latin1.GetString(bytes);
}
