using System.Net;
using FastLB.Core.Loop;

namespace FastLB.Simulation.Contract;

/// <summary>The simulated loop keeps the contract, with wires that pass everything on and with wires that trickle.</summary>
public sealed class SimLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) => new SimLoopBench(buffers, new NetworkMood());
}

/// <summary>The same where everything may be late and comes in pieces.</summary>
public sealed class SlowSimLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) => new SimLoopBench(buffers, new NetworkMood { Delay = 0.3, MaxMove = 100_000, SocketBytes = 100_000 });
}

internal sealed class SimLoopBench : LoopBench
{
    private readonly SimNetwork _network;
    private readonly SimLoop _loop;
    private readonly Queue<SimSocket> _accepted = new();
    private int _backlog = -1;

    internal SimLoopBench(BufferPool buffers, NetworkMood mood)
    {
        _network = new SimNetwork(new RandomSource(7), mood, e => e.Equals(Nowhere) ? ConnectFate.Refused : ConnectFate.Accepted, (_, s) => _accepted.Enqueue(s));
        _loop = new SimLoop(_network, buffers, 1);
    }

    public override EventLoop Loop => _loop;

    public override Endpoint Nowhere { get; } = Endpoint.Ip(IPAddress.Loopback, 1);

    public override void Listen(Listener listener)
    {
        _backlog = _network.OpenBacklog();
        _loop.Listen(listener, _backlog);
    }

    public override RemoteEnd? Connect() => _network.ConnectTo(_backlog, new ClientAddress(1, 1)) is { } socket ? new Remote(socket) : null;

    public override Endpoint OpenRemote() => Endpoint.Ip(IPAddress.Loopback, 2);

    public override RemoteEnd Accept() => new Remote(_accepted.Dequeue());

    public override void Turn(bool sleeps)
    {
        var before = _network.Activity;
        _network.Deliver();
        _loop.RunTurn();
        if (_network.Activity == before && !_loop.HasPendingPosts)
        {
            _network.NowMs += 1;
        }
    }

    public override void Dispose()
    {
    }

    private sealed class Remote(SimSocket socket) : RemoteEnd
    {
        public override void Send(ReadOnlySpan<byte> bytes) => Assert.Equal(bytes.Length, socket.Write(bytes));

        public override int TrySend(ReadOnlySpan<byte> bytes) => Math.Max(0, socket.Write(bytes));

        public override void ShutdownSend() => socket.ShutdownWrite();

        public override void Close(bool reset = false) => socket.Close(reset);

        public override void Dispose() => socket.Close();

        protected override int TryRead(Span<byte> target) => socket.Read(target);
    }
}
