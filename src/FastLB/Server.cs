using System.Security.Cryptography;
using System.Text;
using FastLB.Admin;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;
using FastLB.Fleet;
using FastLB.Health;
using FastLB.Linux;

namespace FastLB;

/// <summary>FastLB could not start; the message is a sentence for the person who started it.</summary>
public sealed class ServerStartException(string message) : Exception(message);

/// <summary>
/// One running FastLB: the loops with their listeners, and the fleet. Its life:
/// <list type="number">
/// <item>pools are made, and the listening sockets bound, so that an address in use is told before anything runs;</item>
/// <item>each loop gets its part of every listener and pool, and its thread starts;</item>
/// <item>the fleet starts the workers, which join their pools as they become ready; requests wait for the first;</item>
/// <item>to stop, the listeners close, connections finish what they have begun, what still runs at the deadline is cut off;</item>
/// <item>the workers, which have nothing to do any more, are stopped; then the loops.</item>
/// </list>
/// </summary>
public sealed partial class Server : IAsyncDisposable
{
    /// <summary>Idle connections close spread over a tenth of the drain time, but at most this long.</summary>
    private const int LongestIdleWindowMs = 1_000;

    private const int DrainPollMs = 10;
    private const int SampleWaitMs = 100;

    /// <summary>Clients that are counted at once where their connections are limited; nine bytes each.</summary>
    private const int ClientSlots = 1 << 17;

    private readonly Settings _settings;
    private readonly ILogger _log;
    private readonly Pool[] _pools;
    private readonly LoopThread[] _threads;
    private readonly ProxyLoop[] _proxies;
    private readonly List<(ListenerSettings Settings, ListenSockets Sockets, ConcurrencyPerClient? PerClient)> _sockets = [];
    private readonly List<(int Loop, Listener Listener)> _listeners = [];
    private readonly FleetHost _fleet;
    private readonly DateTimeOffset _startedAt = DateTimeOffset.UtcNow;
    private readonly Engine _engine;
    private readonly StatusReport _report;
    private readonly TcpAcceleration _acceleration;
    private readonly Watch _watch;
    private volatile bool _draining;
    private Task? _drain;

    private Server(Settings settings, ILoggerFactory logs)
    {
        _settings = settings;
        _log = logs.CreateLogger("server");
        _engine = ChooseEngine(settings.Engine);

        // 1. Pools and sockets.
        var cores = CpuAffinity.AllowedCores();
        var loopCount = settings.Loops > 0 ? settings.Loops : cores.Count;
        _pools = [.. settings.Pools.Select(pool => new Pool(pool, loopCount, pool.Sticky is { Key: null } sticky ? MakeCookie(pool, sticky) : null))];
        OpenAccessLog(loopCount, logs);
        BindAll(settings.Listeners, loopCount);

        // 2. Loops.
        _threads = new LoopThread[loopCount];
        _proxies = new ProxyLoop[loopCount];
        for (var i = 0; i < loopCount; i++)
        {
            var loop = _engine.Open(i, new BufferPool(), settings.Spin);
            _proxies[i] = new ProxyLoop(loop, _pools);
            _proxies[i].Recorder.Ring = _accessLog?.Rings[i];

            // Two loops on one core would only take turns; loops beyond the cores move freely.
            _threads[i] = new LoopThread(loop, i < cores.Count ? cores[i] : null, OnLoopFailed);
            ListenOn(i);
        }

        foreach (var pool in _pools)
        {
            pool.Published = TellLoops;
            if (pool.Settings.Reached.Count > 0)
            {
                pool.Publish(new WorkerSet(
                    pool.Settings.Reached.Select((w, slot) => new Worker(pool.Name, slot, 0, w.Endpoint, loopCount, w.Weight, pool.Settings)
                    {
                        Zone = w.Zone is null ? -1 : pool.Settings.Zones.IndexOf(w.Zone),
                    }),
                    []));
            }
        }

        _acceleration = new TcpAcceleration(_pools, _threads.Select(t => t.Loop));
        foreach (var thread in _threads)
        {
            thread.Start();
        }

        Operator = new Operator(_pools, logs.CreateLogger("operator"));
        _watch = new Watch(_pools, logs.CreateLogger("health"));
        _report = new StatusReport(_pools, _proxies, _threads, _watch);
        LogStart(loopCount);

        // 3. Workers.
        _fleet = new FleetHost(
            [.. settings.Runs.Select(run => (Array.Find(_pools, p => p.Name == run.PoolName)!, run))],
            [.. _threads.Select(t => t.Loop)],
            logs,
            TimeProvider.System);
        if (settings.Runs.Count > 0)
        {
            StartFleet();
        }
    }

    /// <exception cref="ServerStartException">An address cannot be listened on, or the engine is not there.</exception>
    public static Server Start(Settings settings, ILoggerFactory logs) => new(settings, logs);

    /// <summary>What may be changed from outside.</summary>
    public Operator Operator { get; }

    /// <summary>The state of everything, for the status page, the metrics and <c>fastlb status</c>. Any thread.</summary>
    public ServerStatus GetStatus()
    {
        var processes = _fleet.Processes;
        if (!_draining)
        {
            // Loops note what they allocated when asked; what they say now is in the next report at the latest.
            var sampled = new ManualResetEventSlim();
            foreach (var thread in _threads)
            {
                thread.Sample();
            }

            LoopBarrier.Pass([.. _threads.Select(t => t.Loop)], sampled.Set);
            sampled.Wait(SampleWaitMs);
        }

        return new ServerStatus(
            StatusReport.Version,
            _startedAt,
            (DateTimeOffset.UtcNow - _startedAt).TotalSeconds,
            Environment.ProcessId,
            _threads[0].Loop.EngineName,
            _engine.Reason,
            _draining,
            _report.Loops(),
            [.. _sockets.Select(s => new ListenerStatus(s.Sockets.Endpoint.ToString(), ProtocolName(s.Settings.Protocol), null, AccelerationOf(s.Settings)))],
            _report.Pools(processes),
            _report.Totals())
        {
            Events = _report.Events,
            AccessLog = AccessLogStatus,
        };
    }

    /// <summary>Replaces the workers of all pools one after the other, without a gap.</summary>
    public void RestartRolling()
    {
        if (_settings.Runs.Count == 0)
        {
            LogNothingToRestart();
            return;
        }

        _fleet.RestartRolling();
    }

    /// <summary>
    /// Ends in good order and completes when no process of the fleet is left. <paramref name="atOnce"/> cuts the waiting for
    /// connections short. A second call waits for the first.
    /// </summary>
    public Task DrainAsync(CancellationToken atOnce) => _drain ??= DrainOnceAsync(atOnce);

    public async ValueTask DisposeAsync()
    {
        await DrainAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        _fleet.Dispose();
    }

    // 4. and 5. The end.
    private async Task DrainOnceAsync(CancellationToken atOnce)
    {
        _draining = true;
        var open = _proxies.Sum(p => p.Metrics.ConnectionsOpen);
        LogDraining(open, _settings.DrainMs / 1000.0);
        await DeferredClients.ComeThrough([.. _sockets.Select(s => s.Sockets)], atOnce).ConfigureAwait(false);
        var windowMs = Math.Min(LongestIdleWindowMs, _settings.DrainMs / 10);
        for (var i = 0; i < _threads.Length; i++)
        {
            var own = _listeners.Where(l => l.Loop == i).Select(l => l.Listener).ToArray();
            _threads[i].Loop.Post(new DrainWork(_proxies[i], own, windowMs));
        }

        var deadline = Environment.TickCount64 + _settings.DrainMs;
        await UntilDrained(deadline, atOnce).ConfigureAwait(false);
        var left = _proxies.Sum(p => p.Metrics.ConnectionsOpen);
        if (left > 0)
        {
            LogCutOff(left);
            for (var i = 0; i < _threads.Length; i++)
            {
                _threads[i].Loop.Post(new CutOffWork(_proxies[i]));
            }

            await UntilDrained(Environment.TickCount64 + 1000, CancellationToken.None).ConfigureAwait(false);
        }

        _watch.Dispose();
        await _fleet.StopAsync().ConfigureAwait(false);
        foreach (var thread in _threads)
        {
            thread.Stop();
        }

        _accessLog?.Dispose();

        foreach (var (_, sockets, _) in _sockets)
        {
            if (sockets.Endpoint.IsUnix)
            {
                File.Delete(sockets.Endpoint.UnixPath);
            }
        }
    }

    private async Task UntilDrained(long deadline, CancellationToken atOnce)
    {
        while (!_proxies.All(p => p.IsDrained) && Environment.TickCount64 < deadline && !atOnce.IsCancellationRequested)
        {
            await Task.Delay(DrainPollMs, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static Engine ChooseEngine(EngineChoice choice)
    {
        switch (choice)
        {
            case EngineChoice.Auto:
                return Engine.Auto();
            case EngineChoice.Epoll:
                return Engine.Epoll("configured");
            default:
                return Engine.TryUring("configured", out var engine, out var obstacle)
                    ? engine!
                    : throw new ServerStartException($"engine io-uring cannot run here: {obstacle}; write 'engine: auto' or 'engine: epoll'");
        }
    }

    private void BindAll(IReadOnlyList<ListenerSettings> listeners, int loopCount)
    {
        foreach (var listener in listeners)
        {
            var result = ListenSockets.Open(listener.Bind, loopCount, clientSpeaksFirst: listener.Protocol == ListenerProtocol.Http, out var sockets);
            if (result < 0)
            {
                foreach (var descriptor in _sockets.SelectMany(s => s.Sockets.Descriptors))
                {
                    ListenSockets.Abandon(descriptor);
                }

                throw new ServerStartException(BindFailure.Describe(listener.Bind, -result));
            }

            _sockets.Add((listener, sockets!, listener.MaxConnectionsPerClient > 0 ? new ConcurrencyPerClient(listener.MaxConnectionsPerClient, ClientSlots) : null));
        }
    }

    private void StartFleet()
    {
        try
        {
            _fleet.Start();
        }
        catch (IOException problem)
        {
            throw new ServerStartException(problem.Message);
        }
    }

    private void ListenOn(int loop)
    {
        foreach (var (settings, sockets, perClient) in _sockets)
        {
            var bound = settings with { Bind = sockets.Endpoint };
            Listener listener = settings.Protocol == ListenerProtocol.Tcp
                ? new TcpListener(_proxies[loop], bound, perClient)
                : new HttpListener(_proxies[loop], bound, new RouteTable(settings.Routes), perClient);
            _threads[loop].Loop.Listen(listener, sockets.Descriptors[loop]);
            _listeners.Add((loop, listener));
        }
    }

    private static string ProtocolName(ListenerProtocol protocol) => protocol == ListenerProtocol.Tcp ? "tcp" : "http";

    private int PoolIndex(string name) => Array.FindIndex(_pools, p => p.Name == name);

    private StickyCookie MakeCookie(PoolSettings pool, StickySettings settings)
    {
        if (settings.Secret is null)
        {
            LogSecretMade(pool.Name);
        }

        var key = settings.Secret is null ? RandomNumberGenerator.GetBytes(32) : Encoding.UTF8.GetBytes(settings.Secret);
        return new StickyCookie(pool.Name, settings, key);
    }

    private void TellLoops(Pool pool)
    {
        for (var i = 0; i < _threads.Length; i++)
        {
            _threads[i].Loop.Post(new PublishedWork(_proxies[i], pool));
        }
    }

    /// <summary>A broken invariant. Going on could hand one client's bytes to another; the guardian takes the workers down.</summary>
    private static void OnLoopFailed(KernelLoop loop, Exception exception) =>
        Environment.FailFast($"FastLB loop {loop.Index} stopped on an error that must not happen; please report it: {exception}", exception);

    private sealed class PublishedWork(ProxyLoop proxy, Pool pool) : PostedWork
    {
        public override void Run(EventLoop loop) => proxy.OnPublished(pool);
    }

    private sealed class DrainWork(ProxyLoop proxy, Listener[] listeners, int windowMs) : PostedWork
    {
        public override void Run(EventLoop loop)
        {
            foreach (var listener in listeners)
            {
                loop.StopListening(listener);
            }

            proxy.BeginDrain(windowMs);
        }
    }

    private sealed class CutOffWork(ProxyLoop proxy) : PostedWork
    {
        public override void Run(EventLoop loop) => proxy.CutOff();
    }

    [LoggerMessage(LogLevel.Information, "{loops} loops on {engine} ({reason}); listening on {listeners}")]
    private partial void LogStarted(int loops, string engine, string reason, string listeners);

    [LoggerMessage(LogLevel.Information, "{bind}: bytes go by {acceleration}")]
    private partial void LogAcceleration(string bind, string acceleration);

    [LoggerMessage(LogLevel.Warning, "pool {pool}: sticky cookies are signed with a secret made at this start, so sessions may move after the next one; set sticky.secret to keep them")]
    private partial void LogSecretMade(string pool);

    [LoggerMessage(LogLevel.Information, "draining: {open} connections are open and have up to {seconds} s to finish; a second signal stops at once")]
    private partial void LogDraining(long open, double seconds);

    [LoggerMessage(LogLevel.Warning, "the drain time is over: {left} connections are cut off")]
    private partial void LogCutOff(long left);

    [LoggerMessage(LogLevel.Warning, "no pool has workers that FastLB runs, so there is nothing to restart")]
    private partial void LogNothingToRestart();

    private void LogStart(int loopCount)
    {
        var listeners = string.Join(", ", _sockets.Select(s => $"{s.Sockets.Endpoint} ({ProtocolName(s.Settings.Protocol)})"));
        LogStarted(loopCount, _threads[0].Loop.EngineName, _engine.Reason, listeners);
        foreach (var (listener, sockets, _) in _sockets)
        {
            if (AccelerationOf(listener) is { } acceleration)
            {
                LogAcceleration(sockets.Endpoint.ToString(), acceleration);
            }
        }
    }

    private string? AccelerationOf(ListenerSettings listener) => listener.Protocol == ListenerProtocol.Tcp
        ? _acceleration.Describe(_pools[PoolIndex(listener.Routes[0].PoolName)].Settings.Acceleration)
        : null;
}
