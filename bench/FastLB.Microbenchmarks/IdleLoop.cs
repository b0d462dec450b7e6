using FastLB.Core.Loop;

namespace FastLB.Microbenchmarks;

/// <summary>A loop without a kernel: it has a clock, timers and chance, and no connection ever comes.</summary>
public sealed class IdleLoop(int index) : EventLoop(index, new BufferPool(), (ulong)index, 1)
{
    public override string EngineName => "none";

    /// <summary>A turn in which nothing happened but time.</summary>
    public void Turn(int milliseconds)
    {
        SetClock(NowNs + (milliseconds * 1_000_000L));
        Timers.Advance(NowMs);
        RunPosted();
    }

    public override void Listen(Listener listener, int socket) => throw new NotSupportedException();

    public override void StopListening(Listener listener) => throw new NotSupportedException();

    /// <summary>How often a listener was told to accept again.</summary>
    public int Resumed { get; private set; }

    public override void ResumeAccepting(Listener listener) => Resumed++;

    public override void Connect(Peer peer, Endpoint endpoint) => throw new NotSupportedException();

    public override void Receive(Peer peer) => throw new NotSupportedException();

    public override void Send(Peer peer, LoopBuffer buffer, int start, int end) => throw new NotSupportedException();

    public override void ShutdownSend(Peer peer) => throw new NotSupportedException();

    public override void Close(Peer peer, bool reset = false) => throw new NotSupportedException();

    protected override void Wake()
    {
    }
}
