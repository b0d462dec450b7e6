using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>
/// How many client connections a listener has at once, over all loops, within what the server as a whole may have. Each accepted connection
/// takes a place and gives it back when it is closed; loops whose listener waits for a place are woken then. Any thread.
/// </summary>
public sealed class ConnectionPlaces
{
    private readonly AtomicLimit _own;
    private readonly ConnectionPlaces? _total;
    private AcceptWaiter[] _waiters = [];
    private int _waiting;
    private long _turnedAway;

    /// <param name="limit">1 and above; 0 for no limit of its own.</param>
    /// <param name="total">The server's, or null.</param>
    public ConnectionPlaces(int limit, ConnectionPlaces? total = null)
    {
        _own = new AtomicLimit(limit > 0 ? limit : int.MaxValue);
        _total = total;
    }

    /// <summary>The limit of its own; 0 for none. Who waits is woken when it changes; who is there stays.</summary>
    public int Limit
    {
        get => _own.Limit is var limit and < int.MaxValue ? limit : 0;
        set
        {
            _own.Limit = value > 0 ? value : int.MaxValue;
            WakeWaiting();
        }
    }

    /// <summary>Connections that are counted.</summary>
    public int InUse => _own.InUse;

    /// <summary>How often a connection found no place, and was answered, closed or left to wait.</summary>
    public long TurnedAway => Volatile.Read(ref _turnedAway);

    /// <summary>Takes a place. False when there is none here or in the server as a whole.</summary>
    public bool TryEnter()
    {
        if (!_own.TryEnter())
        {
            return false;
        }

        if (_total?.TryEnter() == false)
        {
            _own.Exit();
            return false;
        }

        return true;
    }

    /// <summary>Gives the place back.</summary>
    public void Exit()
    {
        _own.Exit();
        WakeWaiting();
        _total?.Exit();
    }

    /// <summary>A connection found no place.</summary>
    public void NoteTurnedAway() => Interlocked.Increment(ref _turnedAway);

    /// <summary>Parts of listeners that are woken when somebody leaves, whether they wait at present or not.</summary>
    internal int Registered => Volatile.Read(ref _waiters).Length;

    /// <summary>How many of them wait; for a moment it may be more than do, and never less.</summary>
    internal int Waiting => Volatile.Read(ref _waiting);

    internal void Register(AcceptWaiter waiter)
    {
        Change(waiters => [.. waiters, waiter]);
        _total?.Register(waiter);
    }

    /// <summary>The waiter is not woken for places any more, except by who is doing that just now.</summary>
    internal void Unregister(AcceptWaiter waiter)
    {
        Change(waiters => Array.FindAll(waiters, w => !ReferenceEquals(w, waiter)));
        _total?.Unregister(waiter);
    }

    internal void BeginWaiting()
    {
        Interlocked.Increment(ref _waiting);
        _total?.BeginWaiting();
    }

    internal void EndWaiting()
    {
        Interlocked.Decrement(ref _waiting);
        _total?.EndWaiting();
    }

    private void Change(Func<AcceptWaiter[], AcceptWaiter[]> change)
    {
        AcceptWaiter[] before;
        do
        {
            before = Volatile.Read(ref _waiters);
        }
        while (Interlocked.CompareExchange(ref _waiters, change(before), before) != before);
    }

    /// <summary>All of them: each tries for itself, so one that is gone before it could takes the place from nobody.</summary>
    private void WakeWaiting()
    {
        if (Volatile.Read(ref _waiting) == 0)
        {
            return;
        }

        foreach (var waiter in Volatile.Read(ref _waiters))
        {
            waiter.Wake();
        }
    }
}

/// <summary>One loop's listener that waits for a place. Woken from any thread, it accepts again on its loop's.</summary>
internal sealed class AcceptWaiter(Listener listener, EventLoop loop, ConnectionPlaces places) : PostedWork
{
    private int _waits;
    private int _isPosted;

    /// <summary>
    /// Takes a place, or else is woken when there may be one. It says that it waits before it looks for the last time, and who leaves looks for who
    /// waits after having left: one of the two sees the other.
    /// </summary>
    public bool TryEnterOrWait()
    {
        if (places.TryEnter())
        {
            return true;
        }

        // It is counted before it can be woken, or the count would be one too low for a moment, and who leaves then would not look for the others. Only this thread
        // sets the word to 1.
        if (Volatile.Read(ref _waits) == 0)
        {
            places.BeginWaiting();
            Interlocked.Exchange(ref _waits, 1);
        }

        if (!places.TryEnter())
        {
            return false;
        }

        TryEndWaiting();
        return true;
    }

    /// <summary>Any thread.</summary>
    public void Wake()
    {
        if (TryEndWaiting() && Interlocked.Exchange(ref _isPosted, 1) == 0)
        {
            loop.Post(this);
        }
    }

    /// <summary>The listener has stopped and waits for nothing any more. On the loop's thread, once.</summary>
    public void Leave()
    {
        Invariant.That(!listener.IsListening, "only who has stopped waits no more");
        places.Unregister(this);

        // Somebody who had seen it before may be waking it; one of the two takes it off the count.
        TryEndWaiting();
    }

    /// <summary>Whether it waited until now.</summary>
    private bool TryEndWaiting()
    {
        if (Interlocked.Exchange(ref _waits, 0) == 0)
        {
            return false;
        }

        places.EndWaiting();
        return true;
    }

    public override void Run(EventLoop _)
    {
        Volatile.Write(ref _isPosted, 0);
        if (listener.IsListening)
        {
            loop.ResumeAccepting(listener);
        }
    }
}
