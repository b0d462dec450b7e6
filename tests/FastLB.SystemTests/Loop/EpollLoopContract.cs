using FastLB.Core.Loop;
using FastLB.Linux;
using FastLB.Simulation.Contract;

namespace FastLB.SystemTests.Loop;

/// <summary>The loop on epoll keeps the contract, with TCP sockets.</summary>
public sealed class EpollLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) => new KernelLoopBench(new EpollLoop(0, buffers, 1), unix: false);
}

/// <summary>The same with unix sockets, whose connects end at once.</summary>
public sealed class EpollUnixLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) => new KernelLoopBench(new EpollLoop(0, buffers, 1), unix: true);
}

/// <summary>The same while the loop spins before it sleeps, by turns.</summary>
public sealed class SpinningEpollLoopContract : LoopContract
{
    protected override LoopBench Open(BufferPool buffers) =>
        new KernelLoopBench(new EpollLoop(0, buffers, 1) { Spin = new SpinPolicy(100, isAdaptive: true) }, unix: false);
}
