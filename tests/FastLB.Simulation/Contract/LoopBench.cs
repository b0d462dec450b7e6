using FastLB.Core.Loop;

namespace FastLB.Simulation.Contract;

/// <summary>One loop of some back end, with a way to stand at the other end of its connections.</summary>
public abstract class LoopBench : IDisposable
{
    public abstract EventLoop Loop { get; }

    /// <summary>Where nobody listens.</summary>
    public abstract Endpoint Nowhere { get; }

    /// <summary>Begins to listen; <see cref="Connect"/> connects there.</summary>
    public abstract void Listen(Listener listener);

    /// <summary>A remote end connects to the listener. Null when that does not listen any more.</summary>
    public abstract RemoteEnd? Connect();

    /// <summary>An address at which <see cref="Accept"/> takes what the loop connects.</summary>
    public abstract Endpoint OpenRemote();

    public abstract RemoteEnd Accept();

    /// <summary>Whether a reset can be told from an end: not on unix sockets, which know none.</summary>
    public virtual bool KnowsReset => true;

    /// <summary>
    /// One turn of the loop, and of whatever moves its bytes. With <paramref name="sleeps"/> a real loop sleeps until something
    /// happens to it, as it does in the program.
    /// </summary>
    public abstract void Turn(bool sleeps);

    /// <summary>Turns until the condition holds.</summary>
    public void RunUntil(Func<bool> condition, string what, bool sleeps = false)
    {
        var deadline = Environment.TickCount64 + 20_000;
        while (!condition())
        {
            Assert.True(Environment.TickCount64 < deadline, $"in 20 s it did not happen that {what}");
            Turn(sleeps);
        }
    }

    public abstract void Dispose();
}

/// <summary>The end of a connection that the loop does not have.</summary>
public abstract class RemoteEnd : IDisposable
{
    private readonly List<byte> _received = [];

    /// <summary>Everything that has come so far.</summary>
    public IReadOnlyList<byte> Received => _received;

    public bool SawEnd { get; private set; }

    public bool SawError { get; private set; }

    /// <summary>Reads at most <paramref name="limit"/> bytes of what is there. False when nothing was.</summary>
    public bool Read(int limit = int.MaxValue)
    {
        if (SawEnd || SawError)
        {
            return false;
        }

        var chunk = new byte[Math.Min(limit, 64 * 1024)];
        var count = TryRead(chunk);
        SawEnd = count == 0;
        SawError = count < 0 && count != -IoError.TryAgain;
        _received.AddRange(chunk.AsSpan(0, Math.Max(0, count)));
        return count != -IoError.TryAgain;
    }

    public abstract void Send(ReadOnlySpan<byte> bytes);

    /// <summary>Sends what is taken at once, and says how many bytes that were.</summary>
    public abstract int TrySend(ReadOnlySpan<byte> bytes);

    public abstract void ShutdownSend();

    public abstract void Close(bool reset = false);

    public abstract void Dispose();

    /// <summary>A count, 0 for the end, -EAGAIN, or another -errno.</summary>
    protected abstract int TryRead(Span<byte> target);
}
