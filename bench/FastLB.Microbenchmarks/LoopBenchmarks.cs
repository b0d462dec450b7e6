using System.Net;
using System.Net.Sockets;
using BenchmarkDotNet.Attributes;
using FastLB.Core.Loop;
using FastLB.Linux;

namespace FastLB.Microbenchmarks;

/// <summary>What does a deadline cost: pushed back, as once per request, armed anew, and reached?</summary>
[MemoryDiagnoser]
public class TimerBenchmarks
{
    private readonly TimerWheel _wheel = new(0);
    private readonly TimerWheel _expiring = new(0);
    private readonly Deadline _pushed = new();
    private readonly Deadline _armed = new();
    private readonly Deadline _reached = new();
    private long _now = 1;

    [Benchmark(Baseline = true)]
    public void PushBack() => _wheel.Arm(_pushed, 1_000_000_000 + _now++);

    [Benchmark]
    public void ArmAndCancel()
    {
        _wheel.Arm(_armed, _now + 30_000);
        _wheel.Cancel(_armed);
    }

    /// <summary>How often a deadline was reached; each of them a millisecond after it was armed.</summary>
    [Benchmark]
    public int ArmAndReach()
    {
        _expiring.Arm(_reached, _now + 1);
        _expiring.Advance(++_now);
        return _reached.Calls;
    }

    private sealed class Deadline : LoopTimer
    {
        public int Calls { get; private set; }

        public override void OnTimer() => Calls++;
    }
}

/// <summary>What does a turn of the epoll loop cost: with nothing to do, and with a byte to receive and to send back?</summary>
[MemoryDiagnoser]
public class LoopTurnBenchmarks : IDisposable
{
    private readonly EpollLoop _loop = new(0, new BufferPool(), 1);
    private readonly Socket _remote;
    private readonly byte[] _byte = [42];

    public LoopTurnBenchmarks()
    {
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        _loop.Connect(new Echo(_loop), Endpoint.Ip(IPAddress.Loopback, ((IPEndPoint)listening.LocalEndPoint!).Port));
        _remote = listening.Accept();
        _remote.NoDelay = true;
    }

    [Benchmark(Baseline = true)]
    public void NothingToDo() => _loop.RunTurn(0);

    /// <summary>The byte that came back.</summary>
    [Benchmark]
    public int EchoOneByte()
    {
        _remote.Send(_byte);
        while (_remote.Available == 0)
        {
            _loop.RunTurn(0);
        }

        _remote.Receive(_byte);
        return _byte[0];
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _remote.Dispose();
        _loop.Dispose();
        GC.SuppressFinalize(this);
    }

    private sealed class Echo(EventLoop loop) : Peer
    {
        public override void OnConnected(int result) => loop.Receive(this);

        public override void OnReceived(LoopBuffer? buffer, int result)
        {
            if (buffer is null)
            {
                loop.Close(this);
                return;
            }

            loop.Send(this, buffer, LoopBuffer.DataOffset, LoopBuffer.DataOffset + result);
        }

        public override void OnSent(int result) => loop.Receive(this);

        public override void OnClosed()
        {
        }

        public override void OnTimer()
        {
        }
    }
}

/// <summary>What does it cost to rent a buffer and give it back?</summary>
[MemoryDiagnoser]
public class BufferBenchmarks
{
    private readonly BufferPool _pool = new();

    [Benchmark]
    public bool RentAndRelease()
    {
        var buffer = _pool.TryRent(BufferPool.LargeCapacity);
        buffer?.Release();
        return buffer is not null;
    }
}
