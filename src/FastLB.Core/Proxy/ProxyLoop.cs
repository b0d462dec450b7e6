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
public sealed class ProxyLoop : OwnCacheLines
{
    /// <summary>How many objects of each kind are kept for the next ones: about 3 MB if a burst has left all of them.</summary>
    private const int MaxFree = 4_096;

    private readonly FreeList<HttpConnection> _freeHttp = new(MaxFree);
    private readonly FreeList<HttpExchange> _freeExchanges = new(MaxFree);
    private readonly FreeList<HttpPipeline> _freePipelines = new(MaxFree / 4);
    private readonly FreeList<TunnelConnection> _freeTunnels = new(MaxFree);
    private readonly FreeList<UpstreamConnection> _freeUpstreams = new(MaxFree);
    private readonly FreeList<Relay> _freeRelays = new(MaxFree);
    private ClientConnection? _open;
    private readonly List<LoopPool> _gone = [];
    private LoopPool[] _pools = [];

    /// <param name="loop">The loop that this is a part of.</param>
    /// <param name="pools">All pools.</param>
    public ProxyLoop(EventLoop loop, IReadOnlyList<Pool> pools)
    {
        Loop = loop;
        Recorder = new LoopRecorder(loop);
        UsePools(pools);
    }

    public EventLoop Loop { get; }

    public LoopMetrics Metrics { get; } = new();

    /// <summary>Where what became of requests is written down.</summary>
    public LoopRecorder Recorder { get; }

    /// <summary>The loop's part of every pool. Any thread.</summary>
    public LoopPool[] Pools => Volatile.Read(ref _pools);

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

    /// <summary>Where a route's changes to the head at hand stand; made when the first route needs it.</summary>
    internal HeadEdits Edits => field ??= new HeadEdits();

    /// <summary>
    /// Ends in good order: answers say that they are the last on their connection, idle connections close spread over
    /// the window. The listeners have stopped before.
    /// </summary>
    public void BeginDrain(int windowMs)
    {
        IsDraining = true;
        DrainWindowMs = windowMs;
        ForEachOpen(connection => connection.BeginDrain(windowMs));
        NoteIfDrained();
    }

    /// <summary>A worker is about to stop: the WebSockets that go to it are told, spread over the window.</summary>
    internal void OnWorkerDrains(Worker worker, int windowMs)
    {
        for (var connection = _open; connection is not null; connection = connection.NextOpen)
        {
            connection.OnWorkerDrains(worker, windowMs);
        }
    }

    /// <summary>Ends what still runs.</summary>
    public void CutOff() => ForEachOpen(connection => connection.CutOff());

    /// <summary>A pool's snapshot was swapped.</summary>
    public void OnPublished(Pool pool)
    {
        PartOf(pool)?.ServeQueue();
        if (_gone.Count > 0)
        {
            // At a pool that is no longer configured requests may still wait for a worker that was just starting.
            _gone.Find(p => ReferenceEquals(p.Pool, pool))?.ServeQueue();
            _gone.RemoveAll(p => p.Queue.Length == 0);
        }
    }

    /// <summary>The loop's part of a pool; null for one that it does not have, or no more. Any thread.</summary>
    public LoopPool? PartOf(Pool pool) => Array.Find(Pools, p => ReferenceEquals(p.Pool, pool));

    /// <summary>
    /// Puts other pools in place of the present ones. The loop's parts of those that stay stay as they are; of those that go, what runs there ends there.
    /// </summary>
    public void UsePools(IReadOnlyList<Pool> pools)
    {
        var before = Pools;
        LoopPool[] parts = [.. pools.Select(pool => PartOf(pool) ?? new LoopPool(this, pool, Array.Find(before, p => p.Pool.Name == pool.Name)))];
        foreach (var part in parts)
        {
            part.Fallback = Array.Find(parts, p => p.Pool.Name == part.Pool.Settings.Fallback?.PoolName);
        }

        Volatile.Write(ref _pools, parts);

        // Those from earlier reloads may have been left by the last who waited, and nothing is published of a pool without processes.
        _gone.RemoveAll(p => p.Queue.Length == 0);
        foreach (var gone in before.Except(parts))
        {
            gone.Retire(Array.Find(parts, p => p.Pool.Name == gone.Pool.Name));
            if (gone.Queue.Length > 0)
            {
                _gone.Add(gone);
            }
        }
    }

    /// <summary>
    /// The listener takes nothing new any more, and those who came by it are to go: their answers say that they are the last, idle connections close spread over
    /// the window.
    /// </summary>
    public void BeginDrain(HttpListener listener, int windowMs)
    {
        listener.DrainWindowMs = windowMs;
        ForEachOpen(connection =>
        {
            if (ReferenceEquals(connection.CameBy, listener))
            {
                connection.BeginDrain(windowMs);
            }
        });
    }

    /// <summary>Ends what still runs of clients that came by the listener.</summary>
    public void CutOff(Listener listener) => ForEachOpen(connection =>
    {
        if (ReferenceEquals(connection.CameBy, listener))
        {
            connection.CutOff();
        }
    });

    /// <summary>Ends what still runs at a pool that is no longer configured.</summary>
    public void CutOff(Pool pool) => ForEachOpen(connection =>
    {
        if (ReferenceEquals(connection.GoesTo?.Pool, pool))
        {
            connection.CutOff();
        }
    });

    private void ForEachOpen(Action<ClientConnection> act)
    {
        for (var connection = _open; connection is not null;)
        {
            // A connection may close, and leave the list, in the call.
            var next = connection.NextOpen;
            act(connection);
            connection = next;
        }
    }

    internal LoopPool PoolNamed(string name) =>
        Array.Find(Pools, p => p.Pool.Name == name) ?? throw new InvalidOperationException($"there is no pool '{name}'");

    internal HttpConnection RentHttp(HttpListener listener, in ClientAddress address, bool asksForHeader = false)
    {
        var connection = _freeHttp.TryTake() ?? new HttpConnection(this);
        connection.Address = address;
        connection.Open(listener, asksForHeader);
        Enlist(connection);
        return connection;
    }

    internal TunnelConnection RentTunnel(TcpListener listener, in ClientAddress address, bool asksForHeader = false)
    {
        var connection = _freeTunnels.TryTake() ?? new TunnelConnection(this);
        connection.Address = address;
        connection.Open(listener, asksForHeader);
        Enlist(connection);
        return connection;
    }

    internal HttpExchange RentExchange(HttpConnection client)
    {
        var exchange = _freeExchanges.TryTake() ?? new HttpExchange(this);
        exchange.Open(client);
        return exchange;
    }

    internal HttpPipeline RentPipeline() => _freePipelines.TryTake() ?? new HttpPipeline(this);

    internal Relay RentRelay() => _freeRelays.TryTake() ?? new Relay(Loop, Metrics);

    internal UpstreamConnection RentUpstream() => _freeUpstreams.TryTake() ?? new UpstreamConnection(this);

    internal void Recycle(HttpConnection connection)
    {
        Delist(connection);
        _freeHttp.Keep(connection);
    }

    internal void Recycle(TunnelConnection connection)
    {
        Delist(connection);
        _freeTunnels.Keep(connection);
    }

    internal void Recycle(HttpExchange exchange)
    {
        exchange.Reset();
        _freeExchanges.Keep(exchange);
    }

    internal void Recycle(HttpPipeline pipeline)
    {
        pipeline.Reset();
        _freePipelines.Keep(pipeline);
    }

    internal void Recycle(Relay relay)
    {
        relay.Reset();
        _freeRelays.Keep(relay);
    }

    internal void Recycle(UpstreamConnection connection)
    {
        Metrics.UpstreamOpen--;
        _freeUpstreams.Keep(connection);
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
