using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The thread of one loop: named, kept on one core, running turns until it is told to stop. An exception that reaches it is a
/// broken invariant, and the process must not go on; <paramref name="failed"/> is told before the process ends.
/// </summary>
public sealed class LoopThread(KernelLoop loop, int? core, Action<KernelLoop, Exception> failed)
{
    private Thread? _thread;
    private long _allocatedBytes;
    private volatile bool _stopping;

    public KernelLoop Loop { get; } = loop;

    /// <summary>The core that the thread stays on, or null when it moves freely.</summary>
    public int? Core { get; private set; } = core;

    /// <summary>Bytes that the loop's thread has allocated since it started, as of its last <see cref="Sample"/>.</summary>
    public long AllocatedBytes => Volatile.Read(ref _allocatedBytes);

    public void Start()
    {
        _thread = new Thread(Run) { Name = $"fastlb-loop-{Loop.Index}", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Asks the loop's thread to note what it has allocated.</summary>
    public void Sample() => Loop.Post(new SampleWork(this));

    /// <summary>Ends the thread after its turn and waits for it.</summary>
    public void Stop()
    {
        _stopping = true;
        Loop.Post(new Nudge());
        _thread?.Join();
    }

    private void Run()
    {
        if (Core is { } core && CpuAffinity.PinCurrentThread(core) < 0)
        {
            Core = null;
        }

        try
        {
            while (!_stopping)
            {
                Loop.RunTurn();
            }
        }
        catch (Exception exception)
        {
            failed(Loop, exception);
        }

        // A ring can only be emptied by the thread that used it.
        Loop.Dispose();
    }

    private sealed class SampleWork(LoopThread owner) : PostedWork
    {
        public override void Run(EventLoop loop) =>
            Volatile.Write(ref owner._allocatedBytes, GC.GetAllocatedBytesForCurrentThread());
    }

    private sealed class Nudge : PostedWork
    {
        public override void Run(EventLoop loop)
        {
        }
    }
}
