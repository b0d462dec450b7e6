using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>
/// One loop's connections to one worker. Idle ones are lent last in, first out, so that a burst's surplus grows old and
/// goes. A failed connect takes the worker out of this loop's rotation for a short time that doubles with each failure.
/// </summary>
public sealed class UpstreamPool : OwnCacheLines
{
    /// <summary>Below Node's keep-alive time of 5 s, so that we let go first.</summary>
    public const int DefaultIdleMs = 4_000;

    private const int MaxIdle = 1024;
    private const int FirstOutMs = 100;
    private const int MaxOutMs = 10_000;
    private const int PipelineRestMs = 60_000;

    private readonly ProxyLoop _proxy;
    private UpstreamConnection? _newestIdle;
    private int _idleCount;
    private int _failuresInARow;
    private long _outUntilMs;
    private long _pipelineRestUntilMs;
    private readonly bool _isGuarded;
    private readonly bool _limitsConnections;
    private bool _retired;

    internal UpstreamPool(LoopPool pool, ProxyLoop proxy, Worker worker)
    {
        Pool = pool;
        JoinedMs = proxy.Loop.NowMs;
        _proxy = proxy;
        Worker = worker;
        _isGuarded = pool.Pool.Guards.IsGuarded;
        _limitsConnections = worker.ConnectionLimit is not null || pool.Pool.Guards.ConnectionLimit is not null;
    }

    public LoopPool Pool { get; }

    public Worker Worker { get; }

    /// <summary>When the loop first saw the worker take requests, or take them again.</summary>
    public long JoinedMs { get; }

    /// <summary>Whether a connection says whose it is (the PROXY protocol), so that nobody else may use it.</summary>
    internal bool IsForOneClient => Pool.Pool.Settings.ProxyProtocol != Forwarding.ProxyVersion.None;

    /// <summary>True while a failed connect keeps the worker out of rotation.</summary>
    public bool IsOut(long nowMs) => nowMs < _outUntilMs;

    /// <summary>Whether breaker and limits let the worker take one more request. What is seen here may be taken by another loop before it is used.</summary>
    internal bool MayTake(long nowMs) => !_isGuarded
        || (Worker.Breaker?.MayPass(nowMs) != false
            && (Worker.RequestLimit is not { } requests || requests.InUse < requests.Limit)
            && (_newestIdle is not null || HasConnectionPlace(Worker.ConnectionLimit)));

    private static bool HasConnectionPlace(AtomicLimit? limit) => limit is null || limit.InUse < limit.Limit;

    /// <summary>
    /// An idle connection for <paramref name="owner"/>, or null when none waits. With <paramref name="careful"/>, for a request that
    /// cannot be sent a second time, the kernel is asked whether the worker has just closed it. With <paramref name="persistent"/> it is only
    /// one that is known to take requests ahead of its answers.
    /// </summary>
    internal UpstreamConnection? TryTakeIdle(IUpstreamOwner owner, bool careful, bool persistent = false)
    {
        while (_newestIdle is { } connection)
        {
            if (_proxy.Loop.HasInput(connection, careful))
            {
                // What waits there was sent before the request that is about to be: an end, or bytes that are nobody's answer.
                Discard(connection);
                continue;
            }

            if (persistent && !connection.IsPersistent)
            {
                return null;
            }

            Unlink(connection);
            connection.Lend(owner);
            _proxy.Metrics.UpstreamReuses++;
            return connection;
        }

        return null;
    }

    /// <summary>
    /// For how many milliseconds a connection may wait here after this answer: less than the worker says that it keeps it. 0 or less: not at all.
    /// </summary>
    internal static int IdleLimitMs(in ResponseFacts facts) => facts.KeepAliveTimeoutSeconds < 0
        ? DefaultIdleMs
        : (int)Math.Min(DefaultIdleMs, (facts.KeepAliveTimeoutSeconds * 1000L) - 1000);

    /// <summary>Opens a connection for <paramref name="owner"/>, which is told how that ended. Null when the worker has as many as it may.</summary>
    internal UpstreamConnection? TryConnect(IUpstreamOwner owner)
    {
        if (Worker.ConnectionLimit?.TryEnter() == false)
        {
            return null;
        }

        if (Pool.Pool.Guards.ConnectionLimit?.TryEnter() == false)
        {
            // Connections that wait at other workers take the places; one of them makes room, and its end wakes who waits.
            Worker.ConnectionLimit?.Exit();
            Pool.DiscardOneIdle();
            return null;
        }

        var connection = _proxy.RentUpstream();
        connection.HoldsPlaces = _limitsConnections;
        connection.Begin(this, owner);
        _proxy.Metrics.UpstreamConnects++;
        _proxy.Metrics.UpstreamOpen++;
        _proxy.Loop.Connect(connection, Worker.Endpoint);
        return connection;
    }

    /// <summary>Takes back a connection whose exchange ended cleanly.</summary>
    internal void GiveBack(UpstreamConnection connection)
    {
        Invariant.That(!connection.IsIdle && connection.IsOpen && !connection.IsSending, "only a quiet connection is given back");
        Invariant.That(connection.Owed == 0, "a connection that owes answers is not given back");
        connection.Forsake();
        if (_retired || _idleCount >= MaxIdle || (_limitsConnections && Pool.Pool.Guards.Waiters.AnyBesides(_proxy.Loop.Index)))
        {
            _proxy.Loop.Close(connection);
            return;
        }

        connection.IsIdle = true;
        connection.PreviousIdle = null;
        connection.NextIdle = _newestIdle;
        if (_newestIdle is { } next)
        {
            next.PreviousIdle = connection;
        }

        _newestIdle = connection;
        _idleCount++;
        _proxy.Loop.Timers.Arm(connection, _proxy.Loop.NowMs + connection.IdleLimitMs);
        if (!connection.IsReceiving)
        {
            _proxy.Loop.Receive(connection);
        }

        if (_limitsConnections)
        {
            Pool.Pool.Guards.Waiters.WakeAll();
        }
    }

    /// <summary>Closes an idle connection that is of no use any more.</summary>
    internal void Discard(UpstreamConnection connection)
    {
        Invariant.That(connection.IsIdle, "only an idle connection is discarded");
        Unlink(connection);
        _proxy.Loop.Close(connection);
    }

    /// <summary>Whether the worker may be sent requests ahead of its answers, and there is a connection for it.</summary>
    internal bool HasPersistentIdle => _newestIdle is { IsPersistent: true } && _proxy.Loop.NowMs >= _pipelineRestUntilMs;

    /// <summary>
    /// A connection broke with requests ahead on it. That may have had any reason, but a worker that cannot cope with them must not be hit
    /// by every pipelining client again and again, so for a while it gets them one by one.
    /// </summary>
    internal void RestFromPipelining() => _pipelineRestUntilMs = _proxy.Loop.NowMs + PipelineRestMs;

    /// <summary>An answer began, so long after its request was sent.</summary>
    internal void NoteAnswer(int status, long nanoseconds) => Worker.NoteAnswer(_proxy.Loop.Index, _proxy.Loop.NowMs, nanoseconds, status >= 500, status == 429);

    internal void NoteConnectFailure()
    {
        // Jitter keeps the loops from trying a broken worker at the same moment.
        _outUntilMs = _proxy.Loop.NowMs + Backoff.AtLeastHalfMs(_failuresInARow, FirstOutMs, MaxOutMs, _proxy.Loop.Random);
        _failuresInARow++;
    }

    internal void NoteConnected()
    {
        _failuresInARow = 0;
        _outUntilMs = 0;
    }

    /// <summary>The worker left the pool: idle connections go now, lent ones when they are given back.</summary>
    internal void Retire()
    {
        _retired = true;
        DiscardIdle();
    }

    /// <summary>Closes one connection that waits here. False when none does.</summary>
    internal bool TryDiscardOne()
    {
        if (_newestIdle is not { } connection)
        {
            return false;
        }

        Discard(connection);
        return true;
    }

    /// <summary>Gives back the places of a connection that is closed.</summary>
    internal void GiveBackPlaces()
    {
        Worker.ConnectionLimit?.Exit();
        Pool.Pool.Guards.ConnectionLimit?.Exit();
        Pool.Pool.Guards.Waiters.WakeAll();
    }

    /// <summary>
    /// Closes what waits here. After one connection died unanswered the others are likely to be next: a killed process's
    /// sockets are closed one after the other, and the next request would meet one that is not closed yet.
    /// </summary>
    internal void DiscardIdle()
    {
        while (TryDiscardOne())
        {
        }
    }

    private void Unlink(UpstreamConnection connection)
    {
        if (connection.PreviousIdle is { } previous)
        {
            previous.NextIdle = connection.NextIdle;
        }
        else
        {
            _newestIdle = connection.NextIdle;
        }

        if (connection.NextIdle is { } next)
        {
            next.PreviousIdle = connection.PreviousIdle;
        }

        connection.NextIdle = null;
        connection.PreviousIdle = null;
        connection.IsIdle = false;
        _idleCount--;
    }
}
