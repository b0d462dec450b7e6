using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// How a client's connection ends: in steps behind its last answer, because a client may still be sending, and a reset would
/// destroy what it has not read yet; at once when something cannot be finished; within the window when FastLB stops.
/// </summary>
public sealed partial class HttpConnection
{
    private const int LingerMs = 2_000;
    private const int LingerBytes = 1024 * 1024;

    private int _lingeredBytes;

    /// <summary>Whether FastLB, or the listener by which the client came, takes nothing new any more.</summary>
    internal bool IsDraining => Proxy.IsDraining || _listener!.IsDraining;

    private int DrainWindowMs => Proxy.IsDraining ? Proxy.DrainWindowMs : _listener!.DrainWindowMs;

    /// <summary>Closes after the last answer, in steps unless the client has nothing more to say (RFC 9112 9.6).</summary>
    private void End(bool saidLast)
    {
        var clientIsDone = HasEnded || (saidLast && Received.IsEmpty);
        Received.Release();
        if (clientIsDone)
        {
            Loop.Close(this);
            return;
        }

        _phase = Phase.Lingering;
        _lingeredBytes = 0;
        Loop.ShutdownSend(this);
        Loop.Timers.Arm(this, Loop.NowMs + LingerMs);
        if (!IsReceiving)
        {
            Loop.Receive(this);
        }
    }

    private void Linger(LoopBuffer buffer, int length)
    {
        buffer.Release();
        _lingeredBytes += length;
        if (_lingeredBytes > LingerBytes)
        {
            Loop.Close(this);
            return;
        }

        Loop.Receive(this);
    }

    /// <summary>Ends request and connection at once. What the client has of an answer is cut off visibly.</summary>
    internal void Abort(Outcome outcome)
    {
        _exchange?.GiveUp(outcome);
        _pipeline?.GiveUp(outcome);
        Loop.Close(this, reset: true);
    }

    internal override void BeginDrain(int windowMs)
    {
        _exchange?.SayGoodbye(WebSocketClose.GoingAway, HttpExchange.GoodbyeWindowMs(Timeouts));
        if (_phase is Phase.AwaitingHead or Phase.AwaitingProxyHeader && Received.IsEmpty && IsOpen)
        {
            // In the second half of the window: a client that is between two requests sends the next one in the first half, and is told in its answer. What
            // comes just as an idle connection closes is lost, as always in HTTP/1.1 (RFC 9112 9.3.1).
            Loop.Timers.Arm(this, Loop.NowMs + 1 + (windowMs / 2) + Loop.Random.Next(Math.Max(1, windowMs / 2)));
        }
    }

    internal override void OnWorkerDrains(Worker worker, int windowMs)
    {
        if (_exchange is { } exchange && exchange.IsTunnelTo(worker))
        {
            exchange.SayGoodbye(WebSocketClose.ServiceRestart, windowMs);
        }
    }

    internal override void CutOff()
    {
        if (IsOpen)
        {
            Abort(Outcome.DrainDeadline);
        }
    }

    public override void OnClosed()
    {
        Invariant.That(!IsQueued, "a connection closes after its request has ended");
        Received.Release();
        if (_exchange is not null)
        {
            GiveBackExchange();
        }

        if (_pipeline is not null)
        {
            GiveBackPipeline();
        }

        LeaveListener();
        _phase = Phase.Closed;
        _listener = null;
        _seen = 0;
        _headTimed = false;
        HasEnded = false;
        BringsMuch = false;
        Proxy.Recycle(this);
    }
}
