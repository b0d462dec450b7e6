using FastLB.Core.Balancing;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>How a request that was admitted ended, for the breakers.</summary>
internal enum AttemptResult : byte
{
    /// <summary>Nothing can be said: the client left before the worker could show.</summary>
    Abandoned,
    Succeeded,
    Failed,
}

/// <summary>
/// The places that one request holds at its worker and its pool while it is there, and what its end will mean to their breakers. Held by the connection
/// to the worker, and given back exactly once. Of a pool without guards it is empty.
/// </summary>
internal struct Admission
{
    private BreakerPass _poolPass;
    private BreakerPass _workerPass;
    private bool _isHeld;

    /// <summary>Takes all places or none.</summary>
    public static bool TryTake(Pool pool, Worker worker, long nowMs, out Admission admission)
    {
        admission = default;
        var guards = pool.Guards;
        if (!guards.IsGuarded)
        {
            return true;
        }

        // The breakers say first whether they let it pass, then the limits whether there is room. A refused pass need not be given back.
        var passes = (guards.Breaker is not { } poolBreaker || !(admission._poolPass = poolBreaker.TryPass(nowMs)).IsRefused)
            && (worker.Breaker is not { } breaker || !(admission._workerPass = breaker.TryPass(nowMs)).IsRefused);
        var holdsPool = passes && guards.RequestLimit?.TryEnter() != false;
        if (!holdsPool || worker.RequestLimit?.TryEnter() == false)
        {
            if (holdsPool)
            {
                guards.RequestLimit?.Exit();
            }

            worker.Breaker?.OnAbandoned(admission._workerPass);
            guards.Breaker?.OnAbandoned(admission._poolPass);
            admission = default;
            return false;
        }

        admission._isHeld = true;
        return true;
    }

    /// <summary>The request ended there.</summary>
    public readonly void GiveBack(LoopPool pool, Worker worker, AttemptResult verdict, Loop.EventLoop loop)
    {
        if (!_isHeld)
        {
            return;
        }

        var guards = pool.Pool.Guards;
        Tell(worker.Breaker, _workerPass, verdict, loop);
        Tell(guards.Breaker, _poolPass, verdict, loop);
        worker.RequestLimit?.Exit();
        guards.RequestLimit?.Exit();
        if (worker.RequestLimit is not null || guards.RequestLimit is not null || verdict == AttemptResult.Succeeded)
        {
            guards.Waiters.WakeAll();
        }
    }

    private static void Tell(CircuitBreaker? breaker, BreakerPass pass, AttemptResult verdict, Loop.EventLoop loop)
    {
        switch (verdict)
        {
            case AttemptResult.Succeeded:
                breaker?.OnSuccess(pass, loop.NowMs);
                break;
            case AttemptResult.Failed:
                breaker?.OnFailure(pass, loop.NowMs, loop.Random);
                break;
            default:
                breaker?.OnAbandoned(pass);
                break;
        }
    }
}
