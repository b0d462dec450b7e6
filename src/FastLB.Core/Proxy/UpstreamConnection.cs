using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>
/// A connection to a worker: either it serves its owner, and passes on everything that happens, or
/// it waits in its pool. Bytes or an end while it waits mean that it is of no use any more (RFC 9112 9.3.1: the
/// worker may close an idle connection at any time).
/// </summary>
public sealed class UpstreamConnection : Peer
{
    private readonly ProxyLoop _proxy;
    private Admission _admission;

    internal UpstreamConnection(ProxyLoop proxy) => _proxy = proxy;

    /// <summary>Whom it serves; null while it is idle or closing.</summary>
    public IUpstreamOwner? Owner { get; private set; }

    /// <summary>Where it came from and may go back to.</summary>
    public UpstreamPool? Home { get; private set; }

    /// <summary>True when it has served a request before the present one, so that the worker may have closed it meanwhile.</summary>
    public bool IsReused { get; private set; }

    /// <summary>
    /// True when the worker's last answer here was one of HTTP/1.1 that keeps the connection. Only such a worker is sent requests ahead of
    /// its answers (RFC 9112 9.3.2).
    /// </summary>
    public bool IsPersistent { get; set; }

    /// <summary>How many requests (or tunnels) are at the worker here, counted as in flight there, and have not ended.</summary>
    public int Owed { get; private set; }

    /// <summary>How long it may wait in the pool; learned from the worker's Keep-Alive header.</summary>
    public int IdleLimitMs { get; set; } = UpstreamPool.DefaultIdleMs;

    /// <summary>Whether it counts against limits of connections, its worker's or its pool's.</summary>
    internal bool HoldsPlaces { get; set; }

    /// <summary>The status that the worker began to answer with, 0 before that. A tunnel that is open counts as 200.</summary>
    internal int AnsweredStatus { get; set; }

    internal UpstreamConnection? NextIdle { get; set; }

    internal UpstreamConnection? PreviousIdle { get; set; }

    internal bool IsIdle { get; set; }

    internal void Begin(UpstreamPool home, IUpstreamOwner owner)
    {
        Home = home;
        Owner = owner;
        IsReused = false;
        IsPersistent = false;
        IdleLimitMs = UpstreamPool.DefaultIdleMs;
        Owe(1);
    }

    internal void Lend(IUpstreamOwner owner)
    {
        Invariant.That(Owner is null && !IsIdle && IsOpen, "only a connection that waited is lent again");
        Owner = owner;
        IsReused = true;
        Owe(1);
    }

    /// <summary>Somebody else of the same client takes over, and what is owed with it.</summary>
    internal void PassTo(IUpstreamOwner owner)
    {
        Invariant.That(ReferenceEquals(Owner?.Client, owner.Client), "a connection that owes answers stays with its client");
        Owner = owner;
    }

    /// <summary>The request that it was taken for holds these places until it is settled.</summary>
    internal void Hold(in Admission admission) => _admission = admission;

    internal void Owe(int count)
    {
        for (var i = 0; i < count; i++)
        {
            Home!.Worker.Begin(_proxy.Loop.Index);
            Home.Pool.Pool.InFlight.Begin(_proxy.Loop.Index);
        }

        Owed += count;
    }

    /// <summary>The oldest of the requests here has ended; <paramref name="failed"/> when the worker is to blame for how.</summary>
    internal void Settle(bool failed)
    {
        Invariant.That(Owed > 0, "a request ends once");
        Owed--;
        Home!.Worker.End(_proxy.Loop.Index, failed);
        if (failed)
        {
            Home.Worker.NoteFailure(_proxy.Loop.Index, _proxy.Loop.NowMs);
        }

        var verdict = failed || AnsweredStatus >= 500 ? AttemptResult.Failed : AnsweredStatus > 0 ? AttemptResult.Succeeded : AttemptResult.Abandoned;
        AnsweredStatus = 0;
        var admission = _admission;
        _admission = default;
        admission.GiveBack(Home.Pool, Home.Worker, verdict, _proxy.Loop);
        Home.Pool.Pool.InFlight.End(_proxy.Loop.Index);
    }

    /// <summary>Its owner has no more to do with it, and nobody gets an answer from it any more.</summary>
    internal void Forsake(bool failed = false)
    {
        while (Owed > 0)
        {
            Settle(failed);
        }

        Owner = null;
    }

    public override void OnConnected(int result) => Owner?.OnUpstreamConnected(result);

    public override void OnReceived(LoopBuffer? buffer, int result)
    {
        if (Owner is { } owner)
        {
            owner.OnUpstreamReceived(buffer, result);
            return;
        }

        buffer?.Release();
        Home!.Discard(this);
    }

    public override void OnSent(int result)
    {
        Invariant.That(Owner is not null, "an idle connection sends nothing");
        Owner.OnUpstreamSent(result);
    }

    public override void OnMoved(in MoveResult result)
    {
        Invariant.That(Owner is not null, "nothing is moved from an idle connection");
        Owner.OnUpstreamMoved(result);
    }

    public override void OnTimer()
    {
        if (Owner is { } owner)
        {
            owner.OnUpstreamTimer();
            return;
        }

        Home!.Discard(this);
    }

    public override void OnClosed()
    {
        Invariant.That(Owed == 0, "a connection closes after the requests on it have ended");
        if (HoldsPlaces)
        {
            HoldsPlaces = false;
            Home!.GiveBackPlaces();
        }

        Home = null;
        Owner = null;
        _proxy.Recycle(this);
    }
}
