using FastLB.Core.Balancing;
using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>What came of looking for a worker.</summary>
internal enum Choosing
{
    Chosen,

    /// <summary>There is none, or none has a place; it may wait.</summary>
    Wait,

    /// <summary>A breaker is open; waiting would be of no use.</summary>
    Refused,
}

/// <summary>Whether a request may go to its worker now, and the queue of those that may not yet.</summary>
public sealed partial class LoopPool
{
    /// <summary>How often a place may be snatched away by another loop before the request waits.</summary>
    private const int MaxAdmissions = 3;

    private readonly ServeWork _serveLater;
    private readonly bool _limitsConnections;
    private int _servesLater;

    /// <summary>
    /// A worker for a request, with the places that it takes there. What is chosen is sent to, or its admission given back.
    /// </summary>
    /// <param name="affinity">What speaks for one worker or another.</param>
    /// <param name="tried">The worker that has failed this request already.</param>
    /// <param name="hasWaited">Whether it comes from the queue; others go behind those that wait already.</param>
    /// <param name="chosen">The worker; null unless the answer is <see cref="Choosing.Chosen"/>.</param>
    /// <param name="admission">The places.</param>
    internal Choosing TryChoose(in Affinity affinity, Worker? tried, bool hasWaited, out UpstreamPool? chosen, out Admission admission)
    {
        admission = default;
        if (!Pool.Guards.IsGuarded)
        {
            chosen = Pick(affinity, tried);
            return chosen is null ? Choosing.Wait : Choosing.Chosen;
        }

        Refresh();
        chosen = null;
        var now = _proxy.Loop.NowMs;
        if (Pool.Guards.Breaker?.MayPass(now) == false || AllRefuse(now))
        {
            return Choosing.Refused;
        }

        if (!hasWaited && Queue.Length > 0)
        {
            return Choosing.Wait;
        }

        for (var attempt = 0; attempt < MaxAdmissions && Pick(affinity, tried) is { } candidate; attempt++)
        {
            if (Admission.TryTake(Pool, candidate.Worker, now, out admission))
            {
                chosen = candidate;
                return Choosing.Chosen;
            }

            // Another loop has taken the last place in between.
        }

        return Choosing.Wait;
    }

    /// <summary>Lets a connection wait until there is a worker for it. False when too many wait already that are as important.</summary>
    internal bool TryWait(ClientConnection connection)
    {
        if (!Queue.TryEnter(connection, out var displaced))
        {
            return false;
        }

        displaced?.OnDisplaced();
        if (Pool.Guards.IsGuarded)
        {
            Pool.Guards.Waiters.SetWaiting(_proxy.Loop.Index, true);
            if (HasPlace())
            {
                ServeLater();
            }
            else if (_limitsConnections)
            {
                // Connections that idle on other loops take places that are needed here.
                Pool.Guards.Waiters.WakeBesides(_proxy.Loop.Index);
            }
        }

        return true;
    }

    /// <summary>Sends waiting requests to workers, as long as there are places.</summary>
    public void ServeQueue()
    {
        Refresh();
        for (var left = Queue.Length; left > 0 && Queue.Length > 0 && HasPlace(); left--)
        {
            Queue.TryLeave()!.OnWorkerAvailable();
        }

        if (Pool.Guards.IsGuarded)
        {
            Pool.Guards.Waiters.SetWaiting(_proxy.Loop.Index, Queue.Length > 0);
            if (_limitsConnections && Queue.Length == 0 && Pool.Guards.Waiters.AnyBesides(_proxy.Loop.Index))
            {
                DiscardOneIdle();
            }
        }
    }

    /// <summary>Closes one connection that waits at any of the workers.</summary>
    internal void DiscardOneIdle()
    {
        foreach (var upstream in _upstreams)
        {
            if (upstream.TryDiscardOne())
            {
                return;
            }
        }
    }

    /// <summary>Lets the queue be served in a later turn of the loop. Any thread.</summary>
    private void ServeLater()
    {
        if (Interlocked.Exchange(ref _servesLater, 1) == 0)
        {
            _proxy.Loop.Post(_serveLater);
        }
    }

    private bool HasPlace()
    {
        var ready = _seen.Workers.Ready.Length;
        if (!Pool.Guards.IsGuarded || ready == 0)
        {
            return ready > 0;
        }

        var now = _proxy.Loop.NowMs;
        if (Pool.Guards.RequestLimit is { } limit && limit.InUse >= limit.Limit)
        {
            return false;
        }

        for (var i = 0; i < ready; i++)
        {
            if (_upstreams[i].MayTake(now))
            {
                return true;
            }
        }

        // Those that wait for a worker whose breaker has opened meanwhile are told so.
        return AllRefuse(now);
    }

    /// <summary>Whether there are workers and the breaker of each of them is open.</summary>
    private bool AllRefuse(long now)
    {
        var ready = _seen.Workers.Ready;
        foreach (var worker in ready)
        {
            if (worker.Breaker?.MayPass(now) != false)
            {
                return false;
            }
        }

        return ready.Length > 0;
    }

    private sealed class ServeWork(LoopPool pool) : PostedWork
    {
        public override void Run(EventLoop loop)
        {
            Volatile.Write(ref pool._servesLater, 0);
            pool.ServeQueue();
        }
    }
}
