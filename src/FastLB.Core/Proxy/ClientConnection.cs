using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>
/// A connection that a client opened, HTTP or TCP: what its loop and the queue call it by. There are as many of them as clients that
/// are connected, most of them idle, so what only a request needs is not kept here.
/// </summary>
public abstract class ClientConnection : Peer, IWaiting<ClientConnection>
{
    /// <summary>So that nobody can choose addresses that share slots.</summary>
    private static readonly ulong s_seed = (ulong)Random.Shared.NextInt64();

    protected ClientConnection(ProxyLoop proxy) => Proxy = proxy;

    protected ProxyLoop Proxy { get; }

    protected EventLoop Loop => Proxy.Loop;

    public ClientAddress Address { get; internal set; }

    private ClientPlace _place;
    private bool _isCounted;

    /// <summary>Counts one more connection of a client, where they are limited. False when it has as many as it may. Peers on unix sockets are not told apart.</summary>
    internal static bool TryEnter(ConcurrencyPerClient? perClient, in ClientAddress address, out ClientPlace place)
    {
        place = perClient is null || address.IsNone ? ClientPlace.Uncounted : perClient.TryEnter(RequestKey.HashOf(address, s_seed));
        return !place.IsRefused;
    }

    /// <summary>False for a connection that its listener has no place for. One that is let in holds a place, be it one that is not counted for its client.</summary>
    protected bool HasPlace => !_place.IsRefused;

    /// <summary>The connection counts as one of its client's until it is closed.</summary>
    internal void Hold(ClientPlace place) => _place = place;

    /// <summary>The same, of a connection that has just been let in.</summary>
    /// <param name="place">That of its client.</param>
    /// <param name="isCounted">Whether it has a place of its listener's to give back.</param>
    internal void Hold(ClientPlace place, bool isCounted)
    {
        _place = place;
        _isCounted = isCounted;
    }

    /// <summary>It counts no more, neither as one of its listener's nor as one of its client's.</summary>
    private protected void Leave(Doorway doorway)
    {
        doorway.PerClient?.Exit(_place);
        doorway.GiveBackPlace(_isCounted);
        _place = ClientPlace.Refused;
        _isCounted = false;
    }

    // Links of the loop's list of open connections and of the queue that it may wait in.
    internal ClientConnection? NextOpen { get; set; }

    internal ClientConnection? PreviousOpen { get; set; }

    ClientConnection? IWaiting<ClientConnection>.WaitingBefore { get; set; }

    ClientConnection? IWaiting<ClientConnection>.WaitingBehind { get; set; }

    bool IWaiting<ClientConnection>.IsWaiting
    {
        get => IsQueued;
        set => IsQueued = value;
    }

    internal bool IsQueued { get; private set; }

    /// <summary>Where what waits stands in the queue, from 0 to 7, the greatest first.</summary>
    public virtual int Priority => QueueSettings.DefaultPriority;

    /// <summary>The listener by which it came; null once it is closed.</summary>
    internal abstract Listener? CameBy { get; }

    /// <summary>The pool at which it has something running; null while it has nothing.</summary>
    internal abstract LoopPool? GoesTo { get; }

    /// <summary>Another pool takes the place of the one for which it waited; it is no longer in the queue.</summary>
    internal abstract void OnPoolReplaced(LoopPool successor);

    /// <summary>Something more important took its place in a full queue.</summary>
    internal abstract void OnDisplaced();

    /// <summary>A worker takes the request that waited; the connection is no longer in the queue.</summary>
    internal abstract void OnWorkerAvailable();

    /// <summary>The balancer wants to stop: finish what runs, begin nothing new. An idle connection closes within the window.</summary>
    internal abstract void BeginDrain(int windowMs);

    /// <summary>A worker is about to stop, because another process takes its place: what is bound to it for long, and can be told, is.</summary>
    internal virtual void OnWorkerDrains(Balancing.Worker worker, int windowMs)
    {
        // Most connections are bound to a worker for one request only.
    }

    /// <summary>The drain deadline passed: end now.</summary>
    internal abstract void CutOff();
}
