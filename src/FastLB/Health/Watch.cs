using FastLB.Core.Balancing;
using FastLB.Core.Resilience;
using FastLB.Linux;

namespace FastLB.Health;

/// <summary>
/// The control thread's clockwork: ticks the <see cref="PoolWatch"/> of every pool ten times a second where there is something to watch, once a second otherwise. Its time
/// is the loops', so that breakers and limiters may be asked by both.
/// </summary>
internal sealed partial class Watch : IDisposable
{
    private const int BusyTickMs = 100;
    private const int IdleTickMs = 1_000;

    private readonly ILogger _log;
    private readonly Lock _changing = new();
    private PoolWatch[] _pools;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _stop = new();

    public Watch(IReadOnlyList<Pool> pools, ILogger log)
    {
        _log = log;
        _pools = [.. pools.Select(Begin)];
        _thread = new Thread(Run) { Name = "fastlb-watch", IsBackground = true };
        _thread.Start();
    }

    public PoolEvents Events { get; } = new();

    /// <summary>The watch of a pool; null when it is not watched, or no more. Any thread.</summary>
    public PoolWatch? Of(Pool pool) => Array.Find(Volatile.Read(ref _pools), w => ReferenceEquals(w.Pool, pool));

    /// <summary>Watches these pools from now on; of those that stay nothing is forgotten. Any thread.</summary>
    public void Use(IReadOnlyList<Pool> pools)
    {
        lock (_changing)
        {
            var before = _pools;
            Volatile.Write(ref _pools, [.. pools.Select(pool => Of(pool) ?? Begin(pool))]);
            foreach (var gone in before.Except(_pools))
            {
                gone.Dispose();
            }
        }
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        foreach (var pool in _pools)
        {
            pool.Dispose();
        }

        _stop.Dispose();
    }

    private PoolWatch Begin(Pool pool) => new(
        pool,
        (worker, stopping) => AskAsync(worker, pool.Settings, stopping),
        (worker, text) => Tell(pool, worker, text),
        (ulong)Random.Shared.NextInt64());

    private void Run()
    {
        do
        {
            var nowMs = MonotonicClock.NowMs;
            lock (_changing)
            {
                foreach (var pool in _pools)
                {
                    pool.Tick(nowMs);
                }
            }
        }
        while (!_stop.Wait(_pools.Any(p => p.IsBusy) ? BusyTickMs : IdleTickMs));
    }

    private static async Task<ProbeResult> AskAsync(Worker worker, PoolSettings settings, CancellationToken stopping)
    {
        using var probe = new WorkerProbe(worker.Endpoint, settings.Health!, settings.ProxyProtocol);
        return await probe.AskAsync(stopping).ConfigureAwait(false);
    }

    private void Tell(Pool pool, Worker? worker, string text)
    {
        Events.Add(new PoolEvent(DateTimeOffset.UtcNow, pool.Name, worker?.Name, text));
        LogEvent(worker?.ToString() ?? $"pool {pool.Name}", text);
    }

    [LoggerMessage(LogLevel.Warning, "{who}: {what}")]
    private partial void LogEvent(string who, string what);
}
