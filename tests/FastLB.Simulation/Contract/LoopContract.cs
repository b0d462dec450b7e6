using FastLB.Core.Loop;

namespace FastLB.Simulation.Contract;

/// <summary>What every event loop promises, in the words of <see cref="EventLoop"/>. Each back end runs the same claims.</summary>
public abstract partial class LoopContract
{
    protected abstract LoopBench Open(BufferPool buffers);

    /// <summary>Whether this back end can move bytes past user space. One that cannot says so, and its callers copy.</summary>
    protected virtual bool Moves => true;

    [Fact]
    public void A_connection_is_accepted_received_from_sent_to_and_closed()
    {
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);
        remote.Send("hello"u8);
        peer.ReceiveAll();
        stage.Until(() => peer.Bytes.Count == 5, "bytes are received");
        peer.Send("answer"u8);
        stage.Until(() => peer.Count("sent") == 1, "the send completes");
        stage.Until(() => remote.Read() && remote.Received.Count == 6, "the answer arrives");
        peer.Close();
        stage.Until(() => peer.Count("closed") == 1, "the peer is closed");
        Assert.Equal("accepted 0", peer.Events[0]);
        Assert.Equal(["sent 0", "closed 0"], peer.Events.TakeLast(2));
        stage.Until(() => remote.Read() && remote.SawEnd, "the end arrives");
        stage.CheckRest();
    }

    [Fact]
    public void No_callback_runs_inside_a_submit_even_when_it_could()
    {
        // ContractPeer checks it in every callback; here each submit is made where its end is at hand.
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);
        remote.Send("ab"u8);
        peer.On["received"] = p => p.Send("c"u8);
        peer.On["sent"] = p => p.Receive();
        peer.Receive();
        stage.Until(() => peer.Count("sent") >= 1, "the echo is sent");
        remote.ShutdownSend();
        peer.On["received"] = p => p.Close();
        stage.Until(() => peer.Count("closed") == 1, "the peer is closed");
    }

    [Fact]
    public void A_second_receive_and_a_second_send_are_refused()
    {
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);
        peer.Receive();
        Assert.Throws<InvariantViolatedException>(() => stage.Bench.Loop.Receive(peer));
        peer.Send("a"u8);
        var second = stage.Bench.Loop.Buffers.TryRent(1)!;
        Assert.Throws<InvariantViolatedException>(() => stage.Bench.Loop.Send(peer, second, 1024, 1025));
        second.Release();
        stage.Until(() => peer.Count("sent") == 1, "the first send completes");
        Assert.Equal(1, peer.Count("sent"));
    }

    [Fact]
    public void A_sent_buffer_is_the_loops_until_the_completion()
    {
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);

        // Nobody reads, so sooner or later a send stays outstanding.
        peer.On["sent"] = p => p.Send(new byte[BufferPool.LargeCapacity]);
        peer.Send(new byte[BufferPool.LargeCapacity]);
        var quiet = 0;
        var sent = 0;
        stage.Until(() =>
        {
            quiet = peer.Count("sent") == sent ? quiet + 1 : 0;
            sent = peer.Count("sent");
            return quiet > 50;
        }, "a send stays outstanding");
        Assert.True(peer.IsSending);
        Assert.Equal(1, stage.Bench.Loop.Buffers.Rented);
        peer.On.Clear();
        stage.Until(() => { remote.Read(); return peer.Count("sent") > sent; }, "the reader lets it complete");
        Assert.Equal(0, stage.Bench.Loop.Buffers.Rented);
    }

    [Fact]
    public void Many_megabytes_to_a_slow_reader_complete_once_each_and_arrive_in_order()
    {
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);
        const int Sends = 100;
        var queued = 0;
        void Next(ContractPeer p)
        {
            if (queued < Sends)
            {
                p.Send(Pattern.Make(1, Pattern.Tunnel, BufferPool.LargeCapacity, (long)BufferPool.LargeCapacity * queued++));
            }
        }

        peer.On["sent"] = Next;
        Next(peer);
        stage.Until(() => { remote.Read(50_000); return remote.Received.Count == Sends * BufferPool.LargeCapacity; }, "all bytes arrive");
        stage.Until(() => !peer.IsSending, "the last send completes");
        Assert.Equal(Sends, peer.Count("sent 0"));
        Pattern.Check([.. remote.Received], 1, Pattern.Tunnel, 0, "the reader");
    }

    [Fact]
    public void After_close_only_closed_comes_once_and_everything_outstanding_is_given_up()
    {
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);
        peer.On["sent"] = p => p.Send(new byte[BufferPool.LargeCapacity]);
        peer.Send(new byte[BufferPool.LargeCapacity]);
        peer.Receive();
        stage.Turns(20);
        remote.Send("late"u8);
        stage.Bench.Loop.Timers.Arm(peer, stage.Bench.Loop.NowMs + 1);
        peer.Close();
        peer.Close();
        var before = peer.Events.Count;
        stage.Until(() => peer.Count("closed") == 1, "the peer is closed");
        stage.Turns(20);
        Assert.Equal(before + 1, peer.Events.Count);
        stage.CheckRest();
    }

    [Fact]
    public void What_waits_for_a_closed_peer_is_not_given_to_the_next_one_in_its_place()
    {
        using var stage = new Scene(this);
        for (var i = 0; i < 50; i++)
        {
            using var first = stage.Connect(out var old);
            old.Receive();
            first.Send("old"u8);
            old.On["received"] = p => p.Close();
            if (i % 2 == 0)
            {
                old.Close();
            }

            stage.Until(() => old.Count("closed") == 1, "the old peer is closed");
            using var second = stage.Connect(out var young);
            young.ReceiveAll();
            second.Send("young"u8);
            stage.Until(() => young.Bytes.Count >= 5, "the young one receives");
            Assert.Equal("young"u8.ToArray(), young.Bytes);
            young.Close();
            stage.Until(() => young.Count("closed") == 1, "the young peer is closed");
        }

        stage.CheckRest();
    }

    [Fact]
    public void An_object_serves_again_once_it_is_closed()
    {
        using var stage = new Scene(this);
        ContractPeer? again = null;
        for (var i = 1; i <= 3; i++)
        {
            using var remote = again is null ? stage.Connect(out again) : stage.ConnectTo(again);
            again.Receive();
            remote.Send("x"u8);
            var times = i;
            stage.Until(() => again.Bytes.Count == times, "it receives");
            again.Close();
            stage.Until(() => again.Count("closed") == times, "it is closed");
        }
    }

    [Fact]
    public void The_end_of_a_stream_is_a_receive_of_0_and_the_other_direction_lives_on()
    {
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);
        remote.Send("last"u8);
        remote.ShutdownSend();
        peer.ReceiveAll();
        stage.Until(() => peer.Count("received 0") == 1, "the end is received");
        Assert.Equal("last"u8.ToArray(), peer.Bytes);
        peer.Send("still here"u8);
        stage.Until(() => remote.Read() && remote.Received.Count == 10, "the other direction works");
    }

    [Fact]
    public void Ending_the_sending_side_leaves_the_receiving_one_open()
    {
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);
        peer.Send("bye"u8);
        peer.On["sent"] = p => p.ShutdownSend();
        stage.Until(() => remote.Read() && remote.SawEnd, "the end arrives");
        Assert.False(remote.SawError);
        remote.Send("and yet"u8);
        peer.ReceiveAll();
        stage.Until(() => peer.Bytes.Count == 7, "the other direction works");
    }

    [Fact]
    public void A_reset_is_an_error_at_the_other_side_and_a_close_is_an_end()
    {
        foreach (var reset in new[] { true, false })
        {
            using var stage = new Scene(this);
            using var remote = stage.Connect(out var peer);
            peer.Close(reset);
            stage.Until(() => remote.Read() && (remote.SawEnd || remote.SawError), "the other side learns of it");
            Assert.Equal(reset && stage.Bench.KnowsReset, remote.SawError);
        }
    }

    [Fact]
    public void A_reset_from_the_other_side_is_a_negative_receive()
    {
        using var stage = new Scene(this);
        using var remote = stage.Connect(out var peer);
        peer.Receive();
        stage.Turns(2);
        remote.Close(reset: true);
        stage.Until(() => peer.Count("received") == 1, "the receive ends");
        Assert.Equal(stage.Bench.KnowsReset ? $"received {-IoError.ConnectionReset}" : "received 0", peer.Events[^1]);
        peer.Close();
        stage.Until(() => peer.Count("closed") == 1, "the peer is closed");
        stage.CheckRest();
    }

    [Fact]
    public void A_connect_is_told_with_0_and_then_works_like_an_accepted_connection()
    {
        using var stage = new Scene(this);
        var peer = new ContractPeer(stage.Bench.Loop);
        peer.Connect(stage.Bench.OpenRemote());
        stage.Until(() => peer.Count("connected") == 1, "the connect ends");
        Assert.Equal("connected 0", peer.Events[0]);
        using var remote = stage.Bench.Accept();
        peer.ReceiveAll();
        peer.Send("ping"u8);
        stage.Until(() => remote.Read() && remote.Received.Count == 4, "what was sent arrives");
        remote.Send("pong"u8);
        stage.Until(() => peer.Bytes.Count == 4, "the answer arrives");
        peer.Close();
        stage.Until(() => peer.Count("closed") == 1, "the peer is closed");
        stage.CheckRest();
    }

    [Fact]
    public void A_refused_connect_is_told_and_the_peer_still_has_to_be_closed()
    {
        using var stage = new Scene(this);
        var peer = new ContractPeer(stage.Bench.Loop);
        peer.Connect(stage.Bench.Nowhere);
        stage.Until(() => peer.Count("connected") == 1, "the connect ends");
        Assert.Equal($"connected {-IoError.ConnectionRefused}", peer.Events[0]);
        Assert.True(peer.IsOpen);
        peer.Close();
        stage.Until(() => peer.Count("closed") == 1, "the peer is closed");
        Assert.Equal(2, peer.Events.Count);
        stage.CheckRest();
    }

    [Fact]
    public void A_connect_that_is_given_up_ends_with_closed_alone()
    {
        using var stage = new Scene(this);
        var peer = new ContractPeer(stage.Bench.Loop);
        peer.Connect(stage.Bench.OpenRemote());
        peer.Close();
        stage.Until(() => peer.Count("closed") == 1, "the peer is closed");
        Assert.Equal(["closed 0"], peer.Events);
        stage.CheckRest();
    }

    [Fact]
    public void Starved_receivers_are_fed_as_soon_as_a_buffer_comes_back()
    {
        using var stage = new Scene(this, new BufferPool(largeLimit: 1, smallLimit: 1));
        using var thrifty = stage.Connect(out var third);
        using var rich = stage.Connect(out var holder, keepsBuffers: true);
        rich.Send("mine"u8);
        holder.Receive();
        stage.Until(() => holder.Kept.Count == 1, "the only buffer is taken");
        using var poor = stage.Connect(out var starved);
        poor.Send("bread"u8);
        starved.ReceiveAll();
        stage.Until(() => stage.Bench.Loop.Buffers.Refusals > 0, "a receiver finds the pool empty");
        Assert.Empty(starved.Bytes);

        // The buffer comes back late in a turn in which nothing else is left to do: only the loop itself can know that
        // somebody waits for it. The rescue is what ends the test otherwise.
        List<(int Thread, int Number)> rescued = [];
        using var rescue = new Timer(_ => stage.Bench.Loop.Post(new Noted(rescued, 0, 0)), null, 10_000, Timeout.Infinite);
        third.On["sent"] = _ => holder.Kept[0].Release();
        third.Send("a"u8);
        stage.Bench.RunUntil(() => starved.Bytes.Count == 5, "the starved one is fed", sleeps: true);
        Assert.Empty(rescued);
    }

    [Fact]
    public void A_starved_peer_can_be_closed()
    {
        using var stage = new Scene(this, new BufferPool(largeLimit: 1, smallLimit: 1));
        using var rich = stage.Connect(out var holder, keepsBuffers: true);
        rich.Send("mine"u8);
        holder.Receive();
        stage.Until(() => holder.Kept.Count == 1, "the only buffer is taken");
        using var poor = stage.Connect(out var starved);
        poor.Send("bread"u8);
        starved.Receive();
        stage.Until(() => stage.Bench.Loop.Buffers.Refusals > 0, "a receiver finds the pool empty");
        starved.Close();
        stage.Until(() => starved.Count("closed") == 1, "the starved one is closed");
        holder.Kept[0].Release();
        stage.Turns(5);
        Assert.Equal("closed 0", starved.Events[^1]);
    }

    [Fact]
    public void Posted_work_of_many_threads_runs_once_each_and_in_order_per_thread()
    {
        using var stage = new Scene(this);
        const int Threads = 4;
        const int Each = 2_000;
        List<(int Thread, int Number)> ran = [];
        var threads = Enumerable.Range(0, Threads).Select(t => new Thread(() =>
        {
            for (var i = 0; i < Each; i++)
            {
                stage.Bench.Loop.Post(new Noted(ran, t, i));
            }
        })).ToArray();
        Array.ForEach(threads, t => t.Start());
        stage.Until(() => ran.Count == Threads * Each, "all work has run");
        Array.ForEach(threads, t => t.Join());
        stage.Turns(3);
        Assert.Equal(Threads * Each, ran.Count);
        for (var t = 0; t < Threads; t++)
        {
            Assert.Equal(Enumerable.Range(0, Each), ran.Where(r => r.Thread == t).Select(r => r.Number));
        }
    }

    [Fact]
    public void Timers_are_called_in_the_order_of_their_deadlines_and_not_before()
    {
        using var stage = new Scene(this);
        var loop = stage.Bench.Loop;
        List<long> called = [];
        foreach (var delay in new[] { 30, 5, 90, 70, 1, 64, 65 })
        {
            var deadline = loop.NowMs + delay;
            var timer = new ContractPeer(loop);
            timer.On["timer"] = _ =>
            {
                Assert.True(loop.NowMs >= deadline);
                called.Add(deadline);
            };
            loop.Timers.Arm(timer, deadline);
        }

        stage.Until(() => called.Count == 7, "all timers were called");
        Assert.Equal(called.Order(), called);
        Assert.Equal(0, loop.Timers.Count);
    }

    private sealed class Noted(List<(int Thread, int Number)> ran, int thread, int number) : PostedWork
    {
        public override void Run(EventLoop loop) => ran.Add((thread, number));
    }

    /// <summary>A bench with a listener, and the peers that it accepted.</summary>
    private sealed class Scene : IDisposable
    {
        internal Scene(LoopContract contract, BufferPool? buffers = null, bool isFull = false)
        {
            Bench = contract.Open(buffers ?? new BufferPool());
            Listener = new ContractListener(Next) { IsFull = isFull };
            Bench.Listen(Listener);
        }

        internal LoopBench Bench { get; }

        internal ContractListener Listener { get; private set; }

        /// <summary>Another listener in place of one that has stopped; it does not listen yet.</summary>
        internal void MakeListener(bool isFull) => Listener = new ContractListener(Next) { IsFull = isFull };

        internal List<ContractPeer> Accepted { get; } = [];

        internal bool RefusesNext { get; set; }

        internal Func<ContractPeer>? NextAccepted { get; set; }

        internal RemoteEnd Connect(out ContractPeer peer, bool keepsBuffers = false)
        {
            var made = new ContractPeer(Bench.Loop) { KeepsBuffers = keepsBuffers };
            peer = made;
            return ConnectTo(made);
        }

        internal RemoteEnd ConnectTo(ContractPeer peer)
        {
            var before = peer.Count("accepted");
            NextAccepted = () => peer;
            var remote = Bench.Connect()!;
            Until(() => peer.Count("accepted") > before, "the connection is accepted");
            return remote;
        }

        internal void Until(Func<bool> condition, string what) => Bench.RunUntil(condition, what);

        internal void Turns(int count)
        {
            for (var i = 0; i < count; i++)
            {
                Bench.Loop.Post(new Nudge());
                Bench.Turn(sleeps: false);
            }
        }

        /// <summary>Nothing of a peer that was closed is left.</summary>
        internal void CheckRest()
        {
            Assert.Equal(0, Bench.Loop.Buffers.Rented);
            Assert.Equal(0, Bench.Loop.Timers.Count);
        }

        public void Dispose() => Bench.Dispose();

        private ContractPeer? Next()
        {
            if (RefusesNext)
            {
                RefusesNext = false;
                return null;
            }

            var peer = NextAccepted?.Invoke() ?? new ContractPeer(Bench.Loop);
            Accepted.Add(peer);
            return peer;
        }

        private sealed class Nudge : PostedWork
        {
            public override void Run(EventLoop loop)
            {
            }
        }
    }
}
