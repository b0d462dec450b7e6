using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Linux;
using Microsoft.Extensions.Logging;

namespace FastLB.Fleet;

/// <summary>
/// Runs the worker processes of all pools on one thread, <c>fastlb-fleet</c>: it starts and stops them, publishes which are ready,
/// and passes their output on. Supervisors, processes and ports belong to that thread; all public members are safe from others.
/// <para>
/// A turn of the thread does the exits first, so that no request goes to a dead worker for longer than that takes, then what other
/// threads asked for, then a bounded amount of worker output, then deadlines. A log that blocks blocks the thread.
/// </para>
/// </summary>
public sealed class FleetHost : IDisposable
{
    /// <summary>How often draining workers and groups without a leader are looked at.</summary>
    private const int LookPauseMs = 15;

    /// <summary>The most reads of worker output in one turn, together 64 KB. The rest waits in its pipe, and its writer with it.</summary>
    private const int OutputReadsPerTurn = 16;

    /// <summary>How often processes are looked for that left their groups, before the fleet ends without them.</summary>
    private const int SweepRounds = 50;
    private const int SweepPauseMs = 10;
    private const int LongestWaitMs = 60_000;

    private readonly IReadOnlyList<EventLoop> _loops;
    private readonly ILoggerFactory _logs;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly ProcessPoller _poller = new();
    private readonly Lock _postLock = new();
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;
    private readonly long _startTimestamp;
    private List<Action> _posted = [];
    private List<Action> _running = [];
    private readonly List<PoolFleet> _pools = [];
    private readonly Dictionary<string, int> _lastGenerations = [];
    private IReadOnlyList<(Pool Pool, RunSettings Run)> _settings;
    private FleetResources? _resources;
    private int _nextNumber;
    private bool _stopping;
    private bool _hasChanged;
    private Guardian? _guardian;
    private WorkerProcess[] _processes = [];
    private string? _socketDirectory;
    private int _nextOutput;
    private bool _started;

    /// <param name="pools">The pools whose processes FastLB runs.</param>
    /// <param name="loops">The loops that send requests to them; at least one.</param>
    /// <param name="logs">The fleet logs as <c>fleet</c>, a worker's output under its name.</param>
    /// <param name="time">The clock.</param>
    public FleetHost(IReadOnlyList<(Pool Pool, RunSettings Run)> pools, IReadOnlyList<EventLoop> loops, ILoggerFactory logs, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfZero(loops.Count);
        _settings = pools;
        _loops = loops;
        _logs = logs;
        _time = time;
        _log = logs.CreateLogger("fleet");
        _startTimestamp = time.GetTimestamp();
        _thread = new Thread(Run) { Name = "fastlb-fleet", IsBackground = true };
    }

    /// <summary>Every process of every pool: an immutable snapshot, renewed when something happened.</summary>
    public IReadOnlyList<WorkerProcess> Processes => Volatile.Read(ref _processes);

    /// <summary>The process id of the guardian, for tests and the status page; 0 when none runs.</summary>
    public int GuardianPid { get; private set; }

    /// <summary>What every process of this run has in its environment.</summary>
    internal string Mark { get; } = Guardian.NewMark();

    /// <summary>Starts the thread, and with it the workers. Once.</summary>
    /// <exception cref="IOException">No directory takes the workers' unix sockets.</exception>
    public void Start()
    {
        Invariant.That(!_started, "a fleet is started once");
        try
        {
            const int longestNameBytes = 32;
            _socketDirectory = PrivateDirectory.Create(Endpoint.MaxUnixPathBytes - longestNameBytes);
        }
        catch (IOException) when (_settings.All(entry => entry.Run.Transport != WorkerTransport.Unix))
        {
            // Nobody needs it now; a pool that comes later and does is told that it is not there.
        }

        _resources = new FleetResources(
            _poller, _loops, PortAllocator.ForThisMachine(), _socketDirectory, Mark, Environment.GetEnvironmentVariables(), _time, _logs, _log, Post);
        foreach (var (pool, run) in _settings)
        {
            _pools.Add(NewPool(pool, run));
        }

        _guardian = new Guardian(_poller, Mark, _socketDirectory, _log);
        _started = true;
        _thread.Start();
    }

    /// <summary>
    /// Runs these pools from now on. Those that it runs already are changed where they stand: processes stay unless what they are made of is another; those
    /// that are missing finish their requests and go. Comes back at once.
    /// </summary>
    /// <param name="settings">All that it runs.</param>
    /// <param name="triesAgain">Whether rolling restarts that have stopped are tried once more.</param>
    /// <exception cref="IOException">The fleet had nothing to run before, and cannot start.</exception>
    public void Use(IReadOnlyList<(Pool Pool, RunSettings Run)> settings, bool triesAgain = false)
    {
        _settings = settings;
        if (!_started)
        {
            if (settings.Count > 0)
            {
                Start();
            }

            return;
        }

        Post(() => TakeOver(settings, triesAgain));
    }

    private void TakeOver(IReadOnlyList<(Pool Pool, RunSettings Run)> settings, bool triesAgain)
    {
        if (_stopping)
        {
            return;
        }

        foreach (var gone in _pools.Where(p => !p.IsRetiring && settings.All(entry => entry.Run.PoolName != p.PoolName)).ToArray())
        {
            gone.Retire();
        }

        foreach (var (pool, run) in settings)
        {
            if (_pools.Find(p => !p.IsRetiring && p.PoolName == run.PoolName) is { } present)
            {
                present.Use(pool, run, triesAgain);
                continue;
            }

            var added = NewPool(pool, run);
            _pools.Add(added);
            added.Start();
        }
    }

    private PoolFleet NewPool(Pool pool, RunSettings run) => new(
        pool, run, _resources!, new RandomSource((ulong)Random.Shared.NextInt64()), _nextNumber++, LastGenerationOf(run.PoolName));

    private int LastGenerationOf(string poolName) =>
        _pools.Where(p => p.PoolName == poolName).Select(p => p.LastGeneration).Append(_lastGenerations.GetValueOrDefault(poolName)).Max();

    /// <summary>Replaces the workers of one pool, or of all, one after the other, without a gap. Comes back at once.</summary>
    /// <exception cref="ArgumentException">FastLB runs no pool of that name.</exception>
    public void RestartRolling(string? poolName = null)
    {
        if (poolName is not null && _settings.All(entry => entry.Pool.Name != poolName))
        {
            var known = string.Join(", ", _settings.Select(entry => entry.Pool.Name));
            throw new ArgumentException($"FastLB runs no workers for a pool '{poolName}'; it does for: {known}", nameof(poolName));
        }

        Post(() =>
        {
            foreach (var pool in _pools.Where(pool => poolName is null || pool.PoolName == poolName))
            {
                pool.RestartRolling();
            }
        });
    }

    /// <summary>
    /// Stops all workers, which should have no requests any more. Completes when no process of this fleet is left, its guardian
    /// included; killTimeout bounds how long that takes, unless they are to stop at once. May be called again to say so.
    /// </summary>
    public Task StopAsync(bool atOnce = false)
    {
        if (!_started)
        {
            return Task.CompletedTask;
        }

        Post(() =>
        {
            _stopping = true;
            foreach (var pool in _pools)
            {
                pool.Stop(atOnce);
            }
        });
        return _finished.Task;
    }

    /// <summary>Stops, and waits for that.</summary>
    public void Dispose()
    {
        if (_started)
        {
            StopAsync().GetAwaiter().GetResult();
            _thread.Join();
        }

        _poller.Dispose();
    }

    private void Post(Action action)
    {
        lock (_postLock)
        {
            _posted.Add(action);
        }

        _poller.Wake();
    }

    private void Run()
    {
        _guardian!.Start(NowMs);
        foreach (var pool in _pools)
        {
            pool.Start();
        }

        PublishProcesses();
        while (!_stopping || !_pools.All(pool => pool.IsStopped))
        {
            Turn();
        }

        Finish();
        _finished.SetResult();
    }

    private void Turn()
    {
        _poller.Wait(WaitMs());
        foreach (var ready in _poller.Ready)
        {
            if (ready is ChildProcess { Owner: RunningWorker worker })
            {
                worker.Fleet.OnExited(worker);
            }
        }

        RunPosted();
        ReadOutput();
        foreach (var pool in _pools)
        {
            pool.Tick();
        }

        if (_poller.Ready.Any(ready => ready.Owner == _guardian))
        {
            _guardian!.OnExited(NowMs);
        }

        _guardian!.Tick(NowMs);
        ForgetRetired();
        PublishProcesses();
    }

    /// <summary>A pool that comes back under the same name counts its generations on from here, because something of the old one may still be around.</summary>
    private void ForgetRetired()
    {
        foreach (var gone in _pools.Where(pool => pool.IsRetiring && pool.IsStopped).ToArray())
        {
            _lastGenerations[gone.PoolName] = Math.Max(gone.LastGeneration, _lastGenerations.GetValueOrDefault(gone.PoolName));
            gone.Abandon();
            _pools.Remove(gone);
            _hasChanged = true;
        }
    }

    private void RunPosted()
    {
        lock (_postLock)
        {
            (_posted, _running) = (_running, _posted);
        }

        foreach (var action in _running)
        {
            action();
        }

        _running.Clear();
    }

    /// <summary>Reads once from each output that has something, beginning with another one each turn, so that none is starved.</summary>
    private void ReadOutput()
    {
        var ready = _poller.Ready;
        var reads = 0;
        _nextOutput = (_nextOutput + 1) & short.MaxValue;
        for (var i = 0; i < ready.Count && reads < OutputReadsPerTurn; i++)
        {
            // An exit that was handled above has closed its outputs.
            if (ready[(i + _nextOutput) % ready.Count] is ChildOutput { IsOpen: true, Owner: RunningWorker worker } output)
            {
                reads++;
                if (!worker.ReadOnce(output))
                {
                    _poller.Forget(output);
                    output.Close();
                }
            }
        }
    }

    private void PublishProcesses()
    {
        GuardianPid = _guardian!.Pid;
        if (!_hasChanged && !_pools.Exists(pool => pool.HasChanged))
        {
            return;
        }

        _hasChanged = false;

        var processes = new List<WorkerProcess>();
        foreach (var pool in _pools)
        {
            pool.HasChanged = false;
            pool.Describe(processes);
        }

        Volatile.Write(ref _processes, [.. processes]);
    }

    /// <summary>All workers are gone; what they left behind goes now, then the guardian, which has nothing to guard any more.</summary>
    private void Finish()
    {
        foreach (var pool in _pools)
        {
            pool.Abandon();
        }

        var left = MarkedProcesses.Kill($"{WorkerEnvironment.MarkName}={Mark}");
        for (var round = 1; round < SweepRounds && left != 0; round++)
        {
            _poller.Wait(SweepPauseMs);
            left = MarkedProcesses.Kill($"{WorkerEnvironment.MarkName}={Mark}");
        }

        _guardian!.Stop(sweepFirst: left < 0);
        PublishProcesses();
        if (_socketDirectory is null)
        {
            return;
        }

        try
        {
            Directory.Delete(_socketDirectory, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            FleetLog.Warning(_log, "the fleet", $"cannot remove the directory {_socketDirectory}: {e.Message}");
        }
    }

    private int WaitMs()
    {
        var wait = Math.Min(LongestWaitMs, Math.Max(0, _guardian!.NextDeadlineMs - NowMs));
        foreach (var pool in _pools)
        {
            wait = Math.Min(wait, pool.NeedsLooking ? Math.Min(LookPauseMs, pool.MillisecondsToNext) : pool.MillisecondsToNext);
        }

        return (int)wait;
    }

    private long NowMs => (long)_time.GetElapsedTime(_startTimestamp).TotalMilliseconds;
}
