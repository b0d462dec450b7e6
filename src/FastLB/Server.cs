using System.Net;
using System.Security.Cryptography;
using System.Text;
using FastLB.Admin;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;
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
/// How it gets another configuration while it runs is told in Server.Reloading.cs, how it ends in Server.Ending.cs.
/// </summary>
public sealed partial class Server : IAsyncDisposable
{
    /// <summary>Idle connections close spread over a tenth of the drain time, but at most this long.</summary>
    private const int LongestIdleWindowMs = 1_000;

    private const int SampleWaitMs = 100;

    private readonly ILogger _log;
    private readonly LoopThread[] _threads;
    private readonly ProxyLoop[] _proxies;
    private readonly FleetHost _fleet;
    private readonly DateTimeOffset _startedAt = DateTimeOffset.UtcNow;
    private readonly Engine _engine;
    private readonly StatusReport _report;
    private readonly TcpAcceleration _acceleration;
    private readonly Watch _watch;
    private readonly FullListeners _full;
    private readonly ConnectionPlaces _total;
    private readonly Dictionary<string, byte[]> _madeSecrets = [];
    private volatile Running _running;
    private volatile bool _draining;
    private Task? _drain;

    private Server(Settings settings, ILoggerFactory logs)
    {
        _log = logs.CreateLogger("server");
        _endedToken = _ended.Token;
        _engine = ChooseEngine(settings.Engine);

        // 1. Pools and sockets.
        var cores = CpuAffinity.AllowedCores();
        var loopCount = settings.Loops > 0 ? settings.Loops : cores.Count;
        OpenAccessLog(settings.AccessLog, loopCount, logs);
        Pool[] pools = [.. settings.Pools.Select(pool => MakePool(pool, loopCount, before: null))];
        _total = new ConnectionPlaces(settings.MaxConnections);
        InheritedSockets.Claim();
        var listeners = BindAll(settings.Listeners, loopCount);
        ListenAll(listeners);
        _running = new Running(settings, pools, listeners);

        // 2. Loops.
        _threads = new LoopThread[loopCount];
        _proxies = new ProxyLoop[loopCount];
        for (var i = 0; i < loopCount; i++)
        {
            var loop = _engine.Open(i, new BufferPool(), settings.Spin);
            _proxies[i] = new ProxyLoop(loop, pools);
            _proxies[i].Recorder.Ring = _accessLog?.Rings[i];

            // Two loops on one core would only take turns; loops beyond the cores move freely.
            _threads[i] = new LoopThread(loop, i < cores.Count ? cores[i] : null, OnLoopFailed);
            foreach (var listener in listeners)
            {
                listener.ListenOn(i, loop, _proxies[i]);
            }
        }

        foreach (var pool in pools)
        {
            pool.Published = TellLoops;
        }

        _acceleration = new TcpAcceleration(pools, _threads.Select(t => t.Loop));
        foreach (var thread in _threads)
        {
            thread.Start();
        }

        Operator = new Operator(new OperatorReach(Exclusively, () => _running.Pools, TryScale, () => [.. RouteNames()], TryMaintain, () => [.. _running.Listeners.Select(l => l.Sockets.Endpoint)]), logs.CreateLogger("operator"));
        _watch = new Watch(pools, logs.CreateLogger("health"));
        _full = new FullListeners(() => [.. _running.Listeners.Select(l => l.Watched).OfType<WatchedListener>()], logs.CreateLogger("listeners"));
        _report = new StatusReport(() => _running.Pools, _proxies, _threads, _watch);
        LogStart(loopCount);
        ListenerWarnings.Tell(settings, listeners, _log);

        // 3. Workers.
        _fleet = new FleetHost(
            RunsOf(_running),
            [.. _threads.Select(t => t.Loop)],
            logs,
            TimeProvider.System);
        if (settings.Runs.Count > 0)
        {
            StartFleet(() => _fleet.Start());
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
            [.. _running.Listeners.Select(l => FullListeners.Describe(l, ProtocolName(l.Settings.Protocol), AccelerationOf(l.Settings)))],
            _report.Pools(processes, ChangesOf),
            _report.Totals())
        {
            Events = _report.Events,
            AccessLog = AccessLogStatus,
        };
    }

    /// <summary>Replaces the workers of all pools one after the other, without a gap.</summary>
    public void RestartRolling()
    {
        if (_running.Settings.Runs.Count == 0)
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
        _reloading.Dispose();
        _changing.Dispose();
        _ended.Dispose();
    }

    /// <exception cref="ServerStartException">One of them cannot be listened on.</exception>
    private static void ListenAll(IReadOnlyList<ServedListener> listeners)
    {
        foreach (var listener in listeners)
        {
            var result = listener.Sockets.Listen();
            if (result < 0)
            {
                throw new ServerStartException(BindFailure.Describe(listener.Settings.Bind, -result));
            }
        }
    }

    /// <summary>They were bound for nothing: no loop has taken them over.</summary>
    private void Abandon(IEnumerable<ServedListener> listeners)
    {
        foreach (var listener in listeners)
        {
            listener.Abandon();
            TryRemovePath(listener);
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

    /// <exception cref="ServerStartException">One of them cannot be listened on; none is left open.</exception>
    private ServedListener[] BindAll(IEnumerable<ListenerSettings> listeners, int loopCount, IReadOnlyList<ServedListener>? own = null)
    {
        var opened = new List<ServedListener>();
        foreach (var settings in listeners)
        {
            var besideOwn = own?.Any(l => Overlap(l.Sockets.Endpoint, settings.Bind)) == true;
            var result = ServedListener.Bind(settings, loopCount, besideOwn, _total, out var listener);
            if (result < 0)
            {
                Abandon(opened);
                throw new ServerStartException(besideOwn && settings.Bind.IsUnix
                    ? $"cannot listen on {settings.Bind}: FastLB itself still listens there, in another way; take the listener out, reload, and put it in again"
                    : BindFailure.Describe(settings.Bind, -result));
            }

            opened.Add(listener!);
        }

        return [.. opened];
    }

    /// <summary>Whether sockets of ours are in each other's way, which is no reason to think that somebody else is there.</summary>
    private static bool Overlap(Endpoint one, Endpoint other) =>
        one.Equals(other)
        || (one.Address is { } mine && other.Address is { } wanted && one.Port == other.Port
            && (IsWildcard(mine) || IsWildcard(wanted)));

    private static bool IsWildcard(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    private static void StartFleet(Action start)
    {
        try
        {
            start();
        }
        catch (IOException problem)
        {
            throw new ServerStartException(problem.Message);
        }
    }

    private IReadOnlyList<(Pool Pool, RunSettings Run)> RunsOf(Running running)
    {
        return
        [
            .. running.Settings.Runs.Select(run => (
                Array.Find(running.Pools, p => p.Name == run.PoolName)!,
                AsWanted(run))),
            .. _retiring,
            .. _arriving,
        ];
    }

    /// <summary>With as many workers as an operator wants.</summary>
    private RunSettings AsWanted(RunSettings run) => run with { Instances = _wantedInstances.GetValueOrDefault(run.PoolName, run.Instances) };

    /// <summary>Idle connections close within this, when they are to go.</summary>
    private static int IdleWindowMs(Settings settings) => Math.Min(LongestIdleWindowMs, settings.DrainMs / 10);

    private static string ProtocolName(ListenerProtocol protocol) => protocol == ListenerProtocol.Tcp ? "tcp" : "http";

    private Pool MakePool(PoolSettings settings, int loopCount, Pool? before) =>
        new(settings, loopCount, settings.Sticky is { IsByOurCookie: true } sticky ? MakeCookie(settings, sticky) : null, before);

    private StickyCookie MakeCookie(PoolSettings pool, StickySettings settings)
    {
        if (settings.Secret is not null)
        {
            return new StickyCookie(pool.Name, settings, Encoding.UTF8.GetBytes(settings.Secret));
        }

        if (!_madeSecrets.TryGetValue(pool.Name, out var secret))
        {
            LogSecretMade(pool.Name);
            secret = RandomNumberGenerator.GetBytes(32);
            _madeSecrets[pool.Name] = secret;
        }

        return new StickyCookie(pool.Name, settings, secret);
    }

    private void TellLoops(Pool pool) => OnEachLoop(i => _proxies[i].OnPublished(pool));

    /// <summary>Lets each loop do something in one of its next turns; it is told its number.</summary>
    private void OnEachLoop(Action<int> act)
    {
        for (var i = 0; i < _threads.Length; i++)
        {
            _threads[i].Loop.Post(new LoopWork(act, i));
        }
    }

    /// <summary>A broken invariant. Going on could hand one client's bytes to another; the guardian takes the workers down.</summary>
    private static void OnLoopFailed(KernelLoop loop, Exception exception) =>
        Environment.FailFast($"FastLB loop {loop.Index} stopped on an error that must not happen; please report it: {exception}", exception);

    private sealed class LoopWork(Action<int> act, int number) : PostedWork
    {
        public override void Run(EventLoop loop) => act(number);
    }

    /// <summary>What is served at one moment; another is swapped in as a whole.</summary>
    private sealed record Running(Settings Settings, Pool[] Pools, ServedListener[] Listeners);

    [LoggerMessage(LogLevel.Information, "{loops} loops on {engine} ({reason}); listening on {listeners}")]
    private partial void LogStarted(int loops, string engine, string reason, string listeners);

    [LoggerMessage(LogLevel.Information, "{bind}: bytes go by {acceleration}")]
    private partial void LogAcceleration(string bind, string acceleration);

    [LoggerMessage(LogLevel.Warning, "pool {pool}: sticky cookies are signed with a secret made at this start, so sessions may move after the next one; set sticky.secret to keep them")]
    private partial void LogSecretMade(string pool);

    [LoggerMessage(LogLevel.Warning, "no pool has workers that FastLB runs, so there is nothing to restart")]
    private partial void LogNothingToRestart();

    private void LogStart(int loopCount)
    {
        var listeners = string.Join(", ", _running.Listeners.Select(l => $"{l.Sockets.Endpoint} ({ProtocolName(l.Settings.Protocol)})"));
        LogStarted(loopCount, _threads[0].Loop.EngineName, _engine.Reason, listeners);
        foreach (var listener in _running.Listeners)
        {
            if (AccelerationOf(listener.Settings) is { } acceleration)
            {
                LogAcceleration(listener.Sockets.Endpoint.ToString(), acceleration);
            }
        }
    }

    private string? AccelerationOf(ListenerSettings listener) => listener.Protocol == ListenerProtocol.Tcp
        ? _acceleration.Describe(Array.Find(_running.Pools, p => p.Name == listener.Routes[0].PoolName)?.Settings.Acceleration ?? default)
        : null;
}
