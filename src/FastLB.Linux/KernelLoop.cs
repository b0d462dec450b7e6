using System.ComponentModel;
using System.Diagnostics;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>A loop on one of the kernel's interfaces, as its thread and the status page see it.</summary>
public abstract partial class KernelLoop : EventLoop, IDisposable
{
    private SpinPolicy _spin;
    private long _pauseBegan;

    private protected KernelLoop(int index, BufferPool buffers, ulong seed, int pipeLimit)
        : base(index, buffers, seed, MonotonicClock.NowNs / 1_000_000) => _pipes = new Pipes(pipeLimit);

    /// <summary>Whether the loop spins before it sleeps; set before its thread starts.</summary>
    public SpinPolicy Spin { get => _spin; init => _spin = value; }

    /// <summary>Peers that are attached now.</summary>
    public int OpenPeers { get; private protected set; }

    /// <summary>How many listeners the loop has room for in its list, those that have stopped and whose places wait for others included.</summary>
    internal abstract int ListenerPlaces { get; }

    /// <summary>How often accepting had to rest because there were no descriptors or memory left.</summary>
    public long AcceptPauses { get; private protected set; }

    /// <summary>Runs one turn; sleeps at most <paramref name="maxWaitMs"/> milliseconds (-1: without limit).</summary>
    public abstract void RunTurn(int maxWaitMs = -1);

    /// <summary>Closes everything that is still open. On the loop's own thread, or when that has ended.</summary>
    public abstract void Dispose();

    /// <summary>
    /// Spins, if that is wanted, until something has happened or the time is over, and answers how long to sleep after that: 0 when there
    /// is something to do. What the loop has submitted must be with the kernel.
    /// </summary>
    private protected int SpinBeforeSleep(int waitMs)
    {
        _pauseBegan = Stopwatch.GetTimestamp();
        if (!_spin.ShouldSpin)
        {
            return waitMs;
        }

        var end = _pauseBegan + (_spin.LimitNs * Stopwatch.Frequency / 1_000_000_000);
        do
        {
            if (HasEvent() || HasPosted)
            {
                return 0;
            }

            Thread.SpinWait(8);
        }
        while (Stopwatch.GetTimestamp() < end);
        return waitMs;
    }

    /// <summary>A send begins: its buffer is the loop's until it has completed.</summary>
    private protected static void NoteSend(Peer peer, LoopBuffer buffer, int start, int end)
    {
        ref var state = ref peer.State;
        Invariant.That(peer.IsOpen, "only an open peer sends");
        Invariant.That((state.Flags & PeerFlags.SendOutstanding) == 0, "one send is outstanding per peer");
        Invariant.That(start >= 0 && start < end && end <= buffer.Memory.Length, "a send has bytes and stays in its buffer");
        state.Flags |= PeerFlags.SendOutstanding;
        state.SendBuffer = buffer;
        state.SendOffset = start;
        state.SendEnd = end;
    }

    private protected bool IsTimerDue => Timers.MillisecondsToNext(NowMs) == 0;

    /// <summary>After the sleep, or instead of it.</summary>
    private protected void NotePause()
    {
        if (_spin.LimitNs > 0)
        {
            _spin.NotePause((Stopwatch.GetTimestamp() - _pauseBegan) * (1_000_000_000 / Stopwatch.Frequency));
        }
    }

    /// <summary>Whether the kernel has something for the loop. Asked while it spins.</summary>
    private protected abstract bool HasEvent();

    /// <summary>clock_gettime(2), CLOCK_MONOTONIC.</summary>
    public sealed override long ReadClockNs() => MonotonicClock.NowNs;

    private protected static int Demand(int result, string call) =>
        result >= 0 ? result : throw new InvalidOperationException($"{call} failed: {new Win32Exception(-result).Message}");
}
