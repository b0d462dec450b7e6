using System.Runtime.CompilerServices;
using FastLB.Core.Loop;

namespace FastLB.Simulation.Contract;

/// <summary>What a loop promises to those that it accepts for.</summary>
public abstract partial class LoopContract
{
    [Fact]
    public void A_listener_may_refuse_and_accepts_the_next_one()
    {
        using var stage = new Scene(this);
        stage.RefusesNext = true;
        using var refused = stage.Bench.Connect()!;
        stage.Until(() => refused.Read() && (refused.SawEnd || refused.SawError), "the refused one is closed");
        using var taken = stage.Connect(out var peer);
        Assert.Equal(1, peer.Count("accepted"));
    }

    [Fact]
    public void StopListening_accepts_what_waits_and_nothing_after_it()
    {
        using var stage = new Scene(this);
        using var first = stage.Bench.Connect()!;
        using var second = stage.Bench.Connect()!;
        stage.Bench.Loop.StopListening(stage.Listener);
        Assert.False(stage.Listener.IsListening);
        stage.Until(() => stage.Accepted.Count == 2 && stage.Accepted.TrueForAll(p => p.Count("accepted") == 1), "both are accepted");
        Assert.Null(stage.Bench.Connect());
    }

    [Fact]
    public void A_listener_is_told_once_and_last_that_it_has_stopped()
    {
        using var stage = new Scene(this);
        using var first = stage.Bench.Connect()!;
        using var second = stage.Bench.Connect()!;
        var acceptedBefore = -1;
        stage.Listener.Stopping = () => acceptedBefore = stage.Accepted.Count;
        Assert.Equal(0, stage.Listener.Stopped);
        stage.Bench.Loop.StopListening(stage.Listener);
        stage.Until(() => stage.Listener.Stopped > 0, "it is told");
        stage.Turns(20);
        Assert.Equal((1, 2, 2), (stage.Listener.Stopped, acceptedBefore, stage.Accepted.Count));
    }

    [Fact]
    public void A_full_listener_that_stops_is_told_so_and_takes_those_who_wait()
    {
        using var stage = new Scene(this, isFull: true);
        using var waiting = stage.Bench.Connect()!;
        stage.Until(() => stage.Listener.Asked > 0, "the loop has asked whether there is room");
        stage.Turns(5);
        Assert.Empty(stage.Accepted);
        stage.Bench.Loop.StopListening(stage.Listener);
        stage.Until(() => stage.Listener.Stopped == 1 && stage.Accepted.Count == 1, "who waited is accepted, and the listener told");
    }

    [Fact]
    public void Listeners_that_came_and_went_are_forgotten()
    {
        using var stage = new Scene(this);
        stage.Bench.Loop.StopListening(stage.Listener);
        var gone = new List<WeakReference>();
        for (var i = 0; i < 20; i++)
        {
            ComeAndGo(stage, gone, isFull: i % 2 == 0);
        }

        stage.MakeListener(isFull: false);
        stage.Turns(5);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.Equal(0, gone.Count(listener => listener.IsAlive));
        Assert.Equal(0, stage.Bench.Loop.Timers.Count);
        stage.Bench.Listen(stage.Listener);
        using var remote = stage.Connect(out var peer);
        Assert.Equal(1, peer.Count("accepted"));
    }

    /// <summary>Not inlined, so that no register of the caller keeps the listener.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ComeAndGo(Scene stage, List<WeakReference> gone, bool isFull)
    {
        stage.MakeListener(isFull);
        stage.Bench.Listen(stage.Listener);
        using var remote = stage.Bench.Connect()!;
        if (isFull)
        {
            stage.Until(() => stage.Listener.Asked > 0, "the loop has asked whether there is room");
        }

        stage.Bench.Loop.StopListening(stage.Listener);
        stage.Until(() => stage.Accepted.Count == 1, "who has connected is accepted");
        stage.Accepted[0].Close();
        stage.Until(() => stage.Accepted[0].Count("closed") == 1, "it is closed");
        stage.Accepted.Clear();
        gone.Add(new WeakReference(stage.Listener));
    }
}
