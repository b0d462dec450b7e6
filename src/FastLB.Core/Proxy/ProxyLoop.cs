using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// What the connections of one loop share: the loop, its part of every pool, the scratch memory in which heads are parsed and
/// rewritten, its metrics, and the objects of closed connections, which serve again. Only the loop's thread comes here,
/// except where a member says otherwise.
/// </summary>
public sealed class ProxyLoop
{
    /// <summary>Closed connections' objects that are kept; a burst's surplus is left to the garbage collector.</summary>
    private const int MaxFree = 16_384;

    private readonly Stack<HttpConnection> _freeHttp = new();
    private readonly Stack<TunnelConnection> _freeTunnels = new();
    private readonly Stack<Relay> _freeRelays = new();
    private ClientConnection? _open;
    private UpstreamConnection? _freeUpstream;
    private int _freeUpstreamCount;

    /// <param name="loop">The loop that this is a part of.</param>
    /// <param name="pools">All pools; their <see cref="Pool.Index"/> is their place.</param>
    /// <param name="stickyCookies">The sticky cookie of each pool, or null, in the same order.</param>
    public ProxyLoop(EventLoop loop, IReadOnlyList<Pool> pools, IReadOnlyList<StickyCookie?> stickyCookies)
    {
        Loop = loop;
        Pools = [.. pools.Select((pool, i) => new LoopPool(this, pool, stickyCookies[i]))];
        for (var i = 0; i < pools.Count; i++)
        {
            Invariant.That(pools[i].Index == i, "a pool stands at its index");
        }
    }

    public EventLoop Loop { get; }

    public LoopMetrics Metrics { get; } = new();

    public LoopPool[] Pools { get; }

    /// <summary>True from <see cref="BeginDrain"/> on: every answer says that the connection closes.</summary>
    public bool IsDraining { get; private set; }

    /// <summary>Within how many milliseconds of the drain's beginning, or of their last answer, idle connections close.</summary>
    internal int DrainWindowMs { get; private set; }

    /// <summary>Set when the last client connection closed while draining. Read from other threads.</summary>
    public bool IsDrained => Volatile.Read(ref _drained);

    private bool _drained;

    /// <summary>Client connections that are open now.</summary>
    public int OpenCount { get; private set; }

    internal MessageHead RequestHead { get; } = new();

    internal MessageHead ResponseHead { get; } = new();

    /// <summary>Where a rewritten head is put together before it is moved in front of its body.</summary>
    internal byte[] HeadScratch { get; } = new byte[BufferPool.LargeCapacity];

    /// <summary>
    /// Ends in good order: answers say that they are the last on their connection, idle connections close spread over
    /// the window. The listeners have stopped before.
    /// </summary>
    public void BeginDrain(int windowMs)
    {
        IsDraining = true;
        DrainWindowMs = windowMs;
        for (var connection = _open; connection is not null;)
        {
            // A connection may close, and leave the list, in the call.
            var next = connection.NextOpen;
            connection.BeginDrain(windowMs);
            connection = next;
        }

        NoteIfDrained();
    }

    /// <summary>Ends what still runs.</summary>
    public void CutOff()
    {
        for (var connection = _open; connection is not null;)
        {
            var next = connection.NextOpen;
            connection.CutOff();
            connection = next;
        }
    }

    /// <summary>A pool's snapshot was swapped.</summary>
    public void OnPublished(int poolIndex) => Pools[poolIndex].ServeQueue();

    internal HttpConnection RentHttp(HttpListener listener, in ClientAddress address)
    {
        var connection = _freeHttp.TryPop(out var free) ? free : new HttpConnection(this);
        connection.Address = address;
        connection.Open(listener);
        Enlist(connection);
        return connection;
    }

    internal TunnelConnection RentTunnel(TcpListener listener, in ClientAddress address)
    {
        var connection = _freeTunnels.TryPop(out var free) ? free : new TunnelConnection(this);
        connection.Address = address;
        connection.Open(listener);
        Enlist(connection);
        return connection;
    }

    internal Relay RentRelay() => _freeRelays.TryPop(out var free) ? free : new Relay(Loop, Metrics);

    internal UpstreamConnection RentUpstream()
    {
        if (_freeUpstream is not { } connection)
        {
            return new UpstreamConnection(this);
        }

        _freeUpstream = connection.NextFree;
        connection.NextFree = null;
        _freeUpstreamCount--;
        return connection;
    }

    internal void Recycle(HttpConnection connection)
    {
        Delist(connection);
        if (_freeHttp.Count < MaxFree)
        {
            _freeHttp.Push(connection);
        }
    }

    internal void Recycle(TunnelConnection connection)
    {
        Delist(connection);
        if (_freeTunnels.Count < MaxFree)
        {
            _freeTunnels.Push(connection);
        }
    }

    internal void Recycle(Relay relay)
    {
        relay.Reset();
        if (_freeRelays.Count < MaxFree)
        {
            _freeRelays.Push(relay);
        }
    }

    internal void Recycle(UpstreamConnection connection)
    {
        Metrics.UpstreamOpen--;
        if (_freeUpstreamCount < MaxFree)
        {
            connection.NextFree = _freeUpstream;
            _freeUpstream = connection;
            _freeUpstreamCount++;
        }
    }

    private void Enlist(ClientConnection connection)
    {
        connection.PreviousOpen = null;
        connection.NextOpen = _open;
        if (_open is { } next)
        {
            next.PreviousOpen = connection;
        }

        _open = connection;
        OpenCount++;
        Metrics.ConnectionsAccepted++;
        Metrics.ConnectionsOpen = OpenCount;
    }

    private void Delist(ClientConnection connection)
    {
        if (connection.PreviousOpen is { } previous)
        {
            previous.NextOpen = connection.NextOpen;
        }
        else
        {
            _open = connection.NextOpen;
        }

        if (connection.NextOpen is { } next)
        {
            next.PreviousOpen = connection.PreviousOpen;
        }

        connection.NextOpen = null;
        connection.PreviousOpen = null;
        OpenCount--;
        Metrics.ConnectionsOpen = OpenCount;
        NoteIfDrained();
    }

    private void NoteIfDrained()
    {
        if (IsDraining && OpenCount == 0)
        {
            Volatile.Write(ref _drained, true);
        }
    }
}
