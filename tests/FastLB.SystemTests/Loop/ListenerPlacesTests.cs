using FastLB.Core.Loop;
using FastLB.Linux;
using FastLB.Simulation.Contract;

namespace FastLB.SystemTests.Loop;

/// <summary>Reloads add and remove listeners for as long as a loop lives.</summary>
public sealed class ListenerPlacesTests
{
    [Fact]
    public void A_thousand_listeners_that_came_and_went_leave_no_place_behind_on_epoll() => ComeAndGo(new EpollLoop(0, new BufferPool(), 1));

    [NeedsUringFact]
    public void A_thousand_listeners_that_came_and_went_leave_no_place_behind_on_io_uring() => ComeAndGo(Uring.Open(new BufferPool()));

    [NeedsUringFact]
    public void Nor_where_every_queue_is_full() =>
        ComeAndGo(Uring.Open(new BufferPool(), new UringSizes(Submissions: 8, Completions: 8, SmallBuffers: 2, LargeBuffers: 1, Descriptors: 64)));

    [Fact]
    public void The_address_of_a_listener_that_has_stopped_is_free_at_once_on_epoll() => ListenAgain(new EpollLoop(0, new BufferPool(), 1));

    [NeedsUringFact]
    public void The_address_of_a_listener_that_has_stopped_is_free_at_once_on_io_uring() => ListenAgain(Uring.Open(new BufferPool()));

    private static void ComeAndGo(KernelLoop loop)
    {
        using var bench = new KernelLoopBench(loop, unix: false);
        var kept = new ContractListener(() => null);
        bench.Listen(kept);
        Turn(bench);
        var descriptors = OpenDescriptors();
        for (var i = 0; i < 1_000; i++)
        {
            // Every other one lets its clients wait, and accepts them one by one; some are asked for, and some have a client.
            var peer = new ContractPeer(loop);
            var listener = new ContractListener(() => peer) { IsFull = i % 2 == 0 };
            bench.Listen(listener);
            using var remote = i % 3 == 0 ? bench.Connect() : null;
            if (i % 5 > 0)
            {
                Turn(bench);
            }

            loop.StopListening(listener);
            if (remote is not null)
            {
                Until(bench, () => peer.Count("accepted") == 1, "who has connected is accepted");
                peer.Close();
                Until(bench, () => peer.Count("closed") == 1, "it is closed");
            }

            Until(bench, () => listener.Stopped == 1, "the listener is told that it has stopped");
        }

        Assert.InRange(loop.ListenerPlaces, 1, 2);
        Assert.InRange(OpenDescriptors(), 1, descriptors);
        Assert.True(kept.IsListening);
        Assert.Equal(0, kept.Stopped);
    }

    /// <summary>Whoever removes a listener may configure its address again, or start another program there.</summary>
    private static void ListenAgain(KernelLoop loop)
    {
        using var bench = new KernelLoopBench(loop, unix: false);
        var endpoint = Endpoint.Ip(System.Net.IPAddress.Loopback, 0);
        for (var i = 0; i < 1_000; i++)
        {
            Assert.Equal(0, ListenSockets.Open(endpoint, 1, clientSpeaksFirst: i % 2 == 0, out var sockets));
            endpoint = sockets!.Endpoint;
            var listener = new ContractListener(() => null) { IsFull = i % 3 == 0 };
            loop.Listen(listener, sockets.Descriptors[0]);
            if (i % 5 > 0)
            {
                Turn(bench);
            }

            sockets.BeginEnd();
            loop.StopListening(listener);
        }
    }

    private static void Until(KernelLoopBench bench, Func<bool> condition, string what) => bench.RunUntil(() =>
    {
        bench.Loop.Post(new Nothing());
        return condition();
    }, what);

    /// <summary>A turn that does not sleep, because there is something to do.</summary>
    private static void Turn(KernelLoopBench bench)
    {
        bench.Loop.Post(new Nothing());
        bench.Turn(sleeps: false);
    }

    private sealed class Nothing : PostedWork
    {
        public override void Run(EventLoop loop)
        {
        }
    }

    private static int OpenDescriptors() => Directory.GetFiles("/proc/self/fd").Length;
}
