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

    internal void Register(AcceptWaiter waiter)
    {
        AcceptWaiter[] before;
        do
        {
            before = Volatile.Read(ref _waiters);
        }
        while (Interlocked.CompareExchange(ref _waiters, [.. before, waiter], before) != before);
        _total?.Register(waiter);
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

        if (Interlocked.Exchange(ref _waits, 1) == 0)
        {
            places.BeginWaiting();
        }

        if (!places.TryEnter())
        {
            return false;
        }

        if (Interlocked.Exchange(ref _waits, 0) == 1)
        {
            places.EndWaiting();
        }

        return true;
    }

    public void Wake()
    {
        if (Interlocked.Exchange(ref _waits, 0) == 0)
        {
            return;
        }

        places.EndWaiting();
        if (Interlocked.Exchange(ref _isPosted, 1) == 0)
        {
            loop.Post(this);
        }
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
