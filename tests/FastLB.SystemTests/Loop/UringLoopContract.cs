using FastLB.Core.Loop;
using FastLB.Linux;
using FastLB.Simulation.Contract;

namespace FastLB.SystemTests.Loop;

/// <summary>The loop on io_uring keeps the contract, with TCP sockets.</summary>
public sealed class UringLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) => new KernelLoopBench(Uring.Open(buffers), unix: false);
}

/// <summary>The same with unix sockets.</summary>
public sealed class UringUnixLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) => new KernelLoopBench(Uring.Open(buffers), unix: true);
}

/// <summary>
/// The same with rings so small that every queue is full again and again: submissions are flushed in the middle of a turn, and completions
/// overflow into the kernel's own list.
/// </summary>
public sealed class TinyUringLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) => new KernelLoopBench(
        Uring.Open(buffers, new UringSizes(Submissions: 8, Completions: 8, SmallBuffers: 2, LargeBuffers: 1, Descriptors: 64)), unix: false);
}

/// <summary>The same while the loop spins before it sleeps.</summary>
public sealed class SpinningUringLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) =>
        new KernelLoopBench(Uring.Open(buffers, spin: new SpinPolicy(100, isAdaptive: false)), unix: false);
}

internal static class Uring
{
    /// <summary>A loop on io_uring; where that cannot be used the contract is seen to be kept by epoll once more.</summary>
    internal static KernelLoop Open(BufferPool buffers, UringSizes? sizes = null, SpinPolicy spin = default)
    {
        if (!Engine.TryUring("", out _, out _))
        {
            return new EpollLoop(0, buffers, 1) { Spin = spin };
        }

        var result = UringLoop.TryOpen(0, buffers, 1, spin, sizes ?? new UringSizes(), out var loop, out var step);
        Assert.True(result == 0, $"{step}: {result}");
        return loop!;
    }
}

/// <summary>A test of io_uring itself; where that cannot be used it is skipped and says why.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NeedsUringFactAttribute : FactAttribute
{
    public NeedsUringFactAttribute()
    {
        if (!Engine.TryUring("", out _, out var obstacle))
        {
            Skip = $"no io_uring here: {obstacle}";
        }
    }
}
