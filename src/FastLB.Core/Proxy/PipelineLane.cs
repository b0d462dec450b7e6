using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>How a lane ended before all of its requests were answered; it decides how those are sent again.</summary>
internal enum LaneLoss : byte
{
    /// <summary>It was not lost, or nothing was sent on it.</summary>
    None,

    /// <summary>The worker answered one of them with <c>Connection: close</c>, so it has not looked at the rest (RFC 9112 9.6).</summary>
    Polite,

    /// <summary>It closed before it had answered anything: most likely it let the idle connection go as we wrote.</summary>
    Stale,

    /// <summary>It broke off in the middle.</summary>
    Died,
}

/// <summary>
/// One worker connection of a <see cref="HttpPipeline"/>, and the requests that were sent on it in one piece. Answers that come before
/// their turn wait here, at most one buffer of them; the worker is not read further until their turn has come. It owns the
/// connection, except while an <see cref="HttpExchange"/> does, for an answer that does not go out in one piece.
/// </summary>
internal sealed class PipelineLane(HttpPipeline pipeline, ProxyLoop proxy) : IUpstreamOwner
{
    private LoopPool? _pool;

    /// <summary>Answers that have come; the first belongs to the oldest request here.</summary>
    internal ReceivedBytes Received;

    public ClientConnection Client => pipeline.Client;

    /// <summary>Null when everything here was answered, and when the lane was lost.</summary>
    internal UpstreamConnection? Upstream { get; private set; }

    internal UpstreamPool? Home { get; private set; }

    internal LaneLoss Loss { get; private set; }

    /// <summary>True once any byte of an answer has come.</summary>
    internal bool HasAnswered { get; private set; }

    /// <summary>True when the worker stopped taking requests. It may have answered those before all the same.</summary>
    internal bool IsSendBroken { get; private set; }

    /// <summary>Where in the pipeline's buffer the bytes end that the worker may have got.</summary>
    private int _sentEnd;

    /// <summary>
    /// Takes an idle connection of <paramref name="home"/> that is known to stay open. False when there is none; the lane is only a place
    /// for one request of that worker's then.
    /// </summary>
    internal bool TryOpen(LoopPool pool, UpstreamPool home)
    {
        Invariant.That(Upstream is null && Received.IsEmpty, "a lane starts clean");
        _pool = pool;
        Home = home;
        Loss = LaneLoss.None;
        HasAnswered = false;
        IsSendBroken = false;
        _sentEnd = int.MaxValue;
        Upstream = home.HasPersistentIdle ? home.TryTakeIdle(this, careful: false, persistent: true) : null;
        return Upstream is not null;
    }

    /// <summary>Sends <paramref name="count"/> requests, whose heads stand one behind the other.</summary>
    internal void Send(int count, LoopBuffer heads, int start, int end)
    {
        // Taking the connection counted the first of them.
        Upstream!.Owe(count - 1);
        proxy.Metrics.UpstreamReuses += count - 1;
        RestartTimer();
        heads.Retain();
        proxy.Loop.Send(Upstream, heads, start, end);
    }

    internal bool WasSent(int start) => start < _sentEnd;

    /// <summary>It is this lane's turn, and nothing of it is here.</summary>
    internal void Await()
    {
        RestartTimer();
        if (!Upstream!.IsReceiving)
        {
            proxy.Loop.Receive(Upstream);
        }
    }

    internal void RestartTimer() => proxy.Loop.Timers.Arm(Upstream!, proxy.Loop.NowMs + _pool!.Timeouts.ResponseMs);

    /// <summary>The oldest request here was answered from the first <paramref name="length"/> bytes that had come.</summary>
    internal void Answered(int length, bool mayStay)
    {
        Received.Consume(length);
        Upstream!.Settle(failed: false);
        LeaveIfDone(mayStay);
    }

    /// <summary>The exchange that had the connection is done with its answer, behind which more may have come.</summary>
    internal void TakeBack(ReceivedBytes behind, bool keepsAlive, bool mayStay)
    {
        Received = behind;
        Upstream!.PassTo(this);
        if (Upstream.Owed > 0 && !keepsAlive)
        {
            Lose(LaneLoss.Polite);
            return;
        }

        LeaveIfDone(keepsAlive && mayStay);
    }

    /// <summary>Closes the connection; what was not answered on it is up to the pipeline.</summary>
    internal void Lose(LaneLoss loss)
    {
        var upstream = Upstream!;
        Loss = loss;
        upstream.Forsake(failed: loss == LaneLoss.Died);
        proxy.Loop.Close(upstream, reset: true);
        Upstream = null;
        Received.Release();
    }

    internal void Reset()
    {
        Invariant.That(Upstream is null && Received.IsEmpty, "a lane is left when its requests have ended");
        _pool = null;
        Home = null;
    }

    public void OnUpstreamConnected(int result) => Invariant.That(false, "a lane's connection was open before");

    public void OnUpstreamReceived(LoopBuffer? buffer, int result)
    {
        if (result <= 0)
        {
            Home!.DiscardIdle();
            Lose(HasAnswered ? LaneLoss.Died : LaneLoss.Stale);
        }
        else
        {
            Invariant.That(Received.IsEmpty, "a lane holds one buffer");
            HasAnswered = true;
            Received.Append(buffer!, result, proxy.Loop.Buffers);
        }

        pipeline.OnLaneChanged(this);
    }

    public void OnUpstreamSent(int result)
    {
        if (result < 0)
        {
            NoteSendBroken();
        }
    }

    internal void NoteSendBroken()
    {
        IsSendBroken = true;
        _sentEnd = Upstream!.SendPosition;
    }

    public void OnUpstreamMoved(in MoveResult result) => Invariant.That(false, "an answer is moved only in its turn, and its exchange has the connection then");

    public void OnUpstreamTimer() => pipeline.OnLaneTimer(this);

    private void LeaveIfDone(bool mayStay)
    {
        var upstream = Upstream!;
        if (upstream.Owed > 0)
        {
            return;
        }

        if (mayStay && Received.IsEmpty && !upstream.IsSending && !IsSendBroken)
        {
            Home!.GiveBack(upstream);
        }
        else
        {
            // Bytes behind the last answer are nobody's.
            upstream.Forsake();
            proxy.Loop.Close(upstream);
        }

        Upstream = null;
        Received.Release();
    }
}
