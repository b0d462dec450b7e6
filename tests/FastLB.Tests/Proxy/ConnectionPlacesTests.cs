using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Microbenchmarks;
using FastLB.Tests.Resilience;

namespace FastLB.Tests.Proxy;

public sealed class ConnectionPlacesTests
{
    [Fact]
    public void Who_leaves_while_it_waits_is_waited_for_by_nobody_and_another_one_is_still_woken()
    {
        var total = new ConnectionPlaces(1);
        Assert.True(total.TryEnter());
        var (staying, leaving) = (new Part(0, total), new Part(1, total));
        Assert.False(staying.Waiter.TryEnterOrWait());
        Assert.False(leaving.Waiter.TryEnterOrWait());
        Assert.Equal((2, 2), (total.Registered, total.Waiting));

        leaving.Leave();
        Assert.Equal((1, 1, 0, 0), (total.Registered, total.Waiting, leaving.Places.Registered, leaving.Places.Waiting));
        total.Exit();
        staying.Loop.Turn(1);
        leaving.Loop.Turn(1);
        Assert.Equal((1, 0, 0), (staying.Loop.Resumed, leaving.Loop.Resumed, total.Waiting));
        Assert.True(staying.Waiter.TryEnterOrWait());
    }

    [Fact]
    public void Who_was_woken_and_leaves_before_its_loop_gets_to_it_accepts_no_more()
    {
        var total = new ConnectionPlaces(1);
        Assert.True(total.TryEnter());
        var leaving = new Part(0, total);
        Assert.False(leaving.Waiter.TryEnterOrWait());
        total.Exit();
        leaving.Leave();
        leaving.Loop.Turn(1);
        Assert.Equal((0, 0, 0), (leaving.Loop.Resumed, total.Registered, total.Waiting));
    }

    [Fact]
    public void Whoever_comes_waits_and_goes_beside_others_leaves_no_count_behind_and_takes_no_wake_from_them()
    {
        const int Staying = 2;
        var total = new ConnectionPlaces(1);
        AtOnce.Run(2 * Staying, number =>
        {
            if (number >= Staying)
            {
                for (var i = 0; i < 3_000; i++)
                {
                    var passing = new Part(number, total);
                    if (passing.Waiter.TryEnterOrWait())
                    {
                        Thread.Yield();
                        passing.Places.Exit();
                    }

                    passing.Leave();
                }

                return;
            }

            var part = new Part(number, total);
            for (var i = 0; i < 3_000; i++)
            {
                var resumed = part.Loop.Resumed;
                while (!part.Waiter.TryEnterOrWait())
                {
                    // It tries again when it is woken, and never if it is not.
                    Assert.True(SpinWait.SpinUntil(() => { part.Loop.Turn(1); return part.Loop.Resumed > resumed; }, 30_000), "nobody has woken it");
                    resumed = part.Loop.Resumed;
                }

                // Others shall find the place taken.
                Thread.Yield();
                part.Places.Exit();
            }

            part.Leave();
        });
        Assert.Equal((0, 0, 0), (total.InUse, total.Registered, total.Waiting));
    }

    /// <summary>One loop's part of a listener that lets clients wait, with the listener's places within those of the server.</summary>
    private sealed class Part
    {
        private readonly Accepting _listener = new() { Handle = 1 };

        public Part(int number, ConnectionPlaces total)
        {
            Loop = new IdleLoop(number);
            Places = new ConnectionPlaces(0, total);
            Waiter = new AcceptWaiter(_listener, Loop, Places);
            Places.Register(Waiter);
        }

        public IdleLoop Loop { get; }

        public ConnectionPlaces Places { get; }

        public AcceptWaiter Waiter { get; }

        public void Leave()
        {
            _listener.Handle = -1;
            Waiter.Leave();
        }
    }

    private sealed class Accepting : Listener
    {
        public override Peer? OnAccepting(in ClientAddress address) => null;
    }
}
