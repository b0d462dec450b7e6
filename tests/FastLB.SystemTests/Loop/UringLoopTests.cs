using FastLB.Core.Loop;
using FastLB.Linux;
using FastLB.Simulation;
using FastLB.Simulation.Contract;

namespace FastLB.SystemTests.Loop;

/// <summary>What is particular to io_uring: rings that run full and tables that run out are states, not accidents.</summary>
public class UringLoopTests
{
    [NeedsUringFact]
    public void What_comes_for_a_peer_that_does_not_ask_is_held_up_to_a_limit_and_delivered_in_order()
    {
        using var scene = new Scene(new UringSizes());
        var (remote, peer) = scene.Connect();
        const int Length = 30_000_000;
        var sent = Pattern.Make(1, Pattern.Tunnel, Length);
        peer.Receive();

        // The first receive starts the multishot one; nobody asks again, so what comes is held until that is cancelled.
        var position = 0;
        scene.Bench.RunUntil(() =>
        {
            var before = position;
            position += Math.Max(0, remote.TrySend(sent.AsSpan(position)));
            scene.Turns(3);
            return position == before && position > 0;
        }, "the socket is full because the loop takes no more");
        Assert.InRange(scene.Loop.Buffers.Rented, 1, new UringSizes().SmallBuffers + 1);
        Assert.True(position < Length, "a peer that does not ask took everything");

        peer.ReceiveAll();
        scene.Bench.RunUntil(() =>
        {
            position += Math.Max(0, remote.TrySend(sent.AsSpan(position)));
            return peer.Bytes.Count == Length;
        }, "everything is received");
        Pattern.Check([.. peer.Bytes], 1, Pattern.Tunnel, 0, "the peer");
        Assert.Equal(0, scene.Loop.Buffers.Rented);
    }

    [NeedsUringFact]
    public void A_peer_that_brings_much_gets_large_buffers_and_small_ones_again_when_it_is_quiet()
    {
        using var scene = new Scene(new UringSizes());
        var (remote, peer) = scene.Connect();
        List<int> sizes = [];
        peer.On["received"] = p => sizes.Add(p.Bytes.Count);
        peer.ReceiveAll();
        for (var i = 0; i < 40; i++)
        {
            remote.Send(new byte[BufferPool.LargeCapacity]);
            var expected = (i + 1) * BufferPool.LargeCapacity;
            scene.Bench.RunUntil(() => peer.Bytes.Count == expected, "the bytes are received");
        }

        // So much of it came in large pieces that most receives brought more than a small buffer takes.
        Assert.True(sizes.Count < 40 * BufferPool.LargeCapacity / BufferPool.SmallCapacity / 2, $"{sizes.Count} receives for 40 large messages");
        for (var i = 0; i < 40; i++)
        {
            remote.Send("x"u8);
            var expected = (40 * BufferPool.LargeCapacity) + i + 1;
            scene.Bench.RunUntil(() => peer.Bytes.Count == expected, "small messages are received");
        }
    }

    [NeedsUringFact]
    public void Receives_that_find_no_buffer_wait_and_none_of_many_is_forgotten()
    {
        // Two small and one large buffer for sixteen peers that all have something to say at once.
        using var scene = new Scene(new UringSizes() with { SmallBuffers = 2, LargeBuffers = 1 }, new BufferPool(largeLimit: 1, smallLimit: 4));
        var pairs = Enumerable.Range(0, 16).Select(_ => scene.Connect()).ToArray();
        foreach (var (remote, peer) in pairs)
        {
            peer.ReceiveAll();
            remote.Send(new byte[10_000]);
        }

        scene.Bench.RunUntil(() => pairs.All(p => p.Peer.Bytes.Count == 10_000), "all have received everything");
        Assert.True(scene.Loop.Buffers.Refusals > 0, "the kernel never ran out of buffers, so the test shows nothing");
        Assert.Equal(0, scene.Loop.Buffers.Rented);
    }

    [NeedsUringFact]
    public void A_full_descriptor_table_makes_accepting_rest_and_resume_when_there_is_room()
    {
        using var scene = new Scene(new UringSizes() with { Descriptors = 16 });
        var open = Enumerable.Range(0, 12).Select(_ => scene.Connect()).ToArray();
        using var late = scene.Bench.Connect()!;
        scene.Bench.RunUntil(() => scene.Loop.AcceptPauses > 0, "accepting rests");
        Assert.Equal(12, scene.Loop.OpenPeers);

        // Workers have descriptors of their own, which clients cannot take.
        var upstream = new ContractPeer(scene.Loop);
        upstream.Connect(scene.Bench.OpenRemote());
        scene.Bench.RunUntil(() => upstream.Count("connected 0") == 1, "a connection to a worker is opened all the same");

        open[0].Peer.Close();
        scene.Bench.RunUntil(() => open[0].Peer.Count("closed") == 1, "one is closed");
        var (_, next) = scene.Connect();
        Assert.Equal(1, next.Count("accepted"));
    }

    [NeedsUringFact]
    public void Without_a_descriptor_left_a_connect_is_told_and_works_again_later()
    {
        using var scene = new Scene(new UringSizes() with { Descriptors = 16 });
        var peers = Enumerable.Range(0, 5).Select(_ => new ContractPeer(scene.Loop)).ToArray();
        foreach (var peer in peers)
        {
            peer.Connect(scene.Bench.OpenRemote());
        }

        scene.Bench.RunUntil(() => peers.All(p => p.Count("connected") == 1), "all connects end");
        Assert.Equal($"connected {-IoError.OutOfDescriptors}", peers[4].Events[0]);
        Assert.All(peers[..4], p => Assert.Equal("connected 0", p.Events[0]));
        Array.ForEach(peers, p => p.Close());
        scene.Bench.RunUntil(() => peers.All(p => p.Count("closed") == 1), "all are closed");
        var again = new ContractPeer(scene.Loop);
        again.Connect(scene.Bench.OpenRemote());
        scene.Bench.RunUntil(() => again.Count("connected 0") == 1, "a later one connects");
    }

    [NeedsUringFact]
    public void More_completions_than_the_queue_holds_arrive_all_the_same()
    {
        using var scene = new Scene(new UringSizes() with { Submissions = 4, Completions = 4 });
        var pairs = Enumerable.Range(0, 64).Select(_ => scene.Connect()).ToArray();
        foreach (var (remote, peer) in pairs)
        {
            peer.ReceiveAll();
            remote.Send("hello"u8);
        }

        scene.Bench.RunUntil(() => pairs.All(p => p.Peer.Bytes.Count == 5), "all are received");
        foreach (var (_, peer) in pairs)
        {
            peer.Send("answer"u8);
        }

        scene.Bench.RunUntil(() => pairs.All(p => p.Peer.Count("sent 0") == 1), "all are sent");
        foreach (var (remote, peer) in pairs)
        {
            remote.ShutdownSend();
            scene.Bench.RunUntil(() => peer.Count("received 0") == 1, "the end is received");
            peer.Close();
            scene.Bench.RunUntil(() => peer.Count("closed") == 1, "the peer is closed");
        }
    }

    private sealed class Scene : IDisposable
    {
        private readonly List<RemoteEnd> _remotes = [];
        private ContractPeer? _next;

        internal Scene(UringSizes sizes, BufferPool? buffers = null)
        {
            Loop = Uring.Open(buffers ?? new BufferPool(), sizes);
            Bench = new KernelLoopBench(Loop, unix: false);
            Bench.Listen(new ContractListener(() => _next));
        }

        internal KernelLoopBench Bench { get; }

        internal KernelLoop Loop { get; }

        internal (RemoteEnd Remote, ContractPeer Peer) Connect()
        {
            var peer = _next = new ContractPeer(Loop);
            var remote = Bench.Connect()!;
            _remotes.Add(remote);
            Bench.RunUntil(() => peer.Count("accepted") == 1, "the connection is accepted");
            return (remote, peer);
        }

        internal void Turns(int count)
        {
            for (var i = 0; i < count; i++)
            {
                Bench.Turn(sleeps: false);
            }
        }

        public void Dispose()
        {
            _remotes.ForEach(r => r.Dispose());
            Bench.Dispose();
        }
    }
}
