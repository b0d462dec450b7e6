using System.Reflection;
using FastLB.Admin;
using FastLB.Configuration;
using FastLB.Core.Balancing;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;
using FastLB.Core.Resilience;
using FastLB.Fleet;
using FastLB.Health;
using FastLB.Linux;

namespace FastLB;

/// <summary>
/// Puts together what the status page says from what loops and fleet count. Reads their counters as they stand, without
/// stopping anybody; two figures need not be of the same microsecond.
/// </summary>
internal sealed class StatusReport(Func<Pool[]> pools, ProxyLoop[] proxies, LoopThread[] threads, Watch watch)
{
    private const int RevisionDigits = 8;
    private const double NsPerSecond = 1e9;

    /// <summary>Two or three to a decade, from what a local worker needs to what a client waits for.</summary>
    private static readonly double[] s_latencyBounds =
        [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

    /// <summary>The version with the beginning of the revision that it was built from, like <c>0.1.0+1a2b3c4d</c>.</summary>
    public static string Version { get; } = Shortened(typeof(StatusReport).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown");

    public IReadOnlyList<LoopStatus> Loops() => [.. threads.Select((thread, i) => new LoopStatus(
        i,
        thread.Core,
        Read(ref proxies[i].Metrics.ConnectionsOpen),
        Read(ref proxies[i].Metrics.UpstreamOpen),
        Read(ref proxies[i].Metrics.Requests),
        thread.AllocatedBytes,
        thread.Loop.Buffers.Rented,
        thread.Loop.AcceptPauses))];

    /// <param name="changesOf">What an operator has changed of a pool.</param>
    public IReadOnlyList<PoolStatus> Pools(IReadOnlyList<WorkerProcess> processes, Func<Pool, IEnumerable<OperatorChange>> changesOf) => [.. pools().Select(pool => new PoolStatus(
        pool.Name,
        Operator.Describe(pool.Snapshot.Strategy),
        pool.Settings.Sticky is { Key: { } by } sessions ? KeyText.Of(by, sessions.KeyName) : pool.Settings.Sticky?.CookieName,
        proxies.Sum(p => CountersOf(p, pool)?.Requests ?? 0),
        Errors(outcome => proxies.Sum(p => CountersOf(p, pool)?.Of(outcome) ?? 0)),
        pool.Settings.Reached.Count > 0
            ? [.. pool.Members.Ready.Select(w => Reached(pool, w))]
            : [.. processes.Where(p => p.PoolName == pool.Name).Select(p => Run(pool, p))])
    {
        OperatorChanges = [.. changesOf(pool).Select(change => change.Text).OfType<string>()],
        StrategyReason = proxies.Select(p => p.PartOf(pool)?.StrategyReason).FirstOrDefault(r => r is not null),
        Waiting = proxies.Sum(p => p.PartOf(pool)?.Queue.Length ?? 0),
        InFlight = pool.InFlight.Total,
        InFlightLimit = pool.Guards.RequestLimit?.Limit,
        Fallbacks = proxies.Sum(p => CountersOf(p, pool)?.Fallbacks ?? 0),
        Breaker = pool.Guards.Breaker is { } breaker ? NameOf(breaker) : null,
        Panicking = pool.Workers.IsPanicking,
        Capacity = Capacity(watch.Of(pool)?.Capacity ?? default),
        Upgrades = Upgrades(pool),
    })];

    private UpgradeStatus Upgrades(Pool pool)
    {
        TunnelCounters[] loops = [.. proxies.Select(p => CountersOf(p, pool)?.Tunnels).OfType<TunnelCounters>()];
        return new UpgradeStatus(
            loops.Sum(t => Read(ref t.Open)),
            loops.Sum(t => Read(ref t.Opened)),
            loops.Sum(t => Read(ref t.WebSockets)),
            loops.Sum(t => Read(ref t.ToldToClose)),
            loops.Sum(t => Read(ref t.BytesFromClients)),
            loops.Sum(t => Read(ref t.BytesToClients)),
            loops.Sum(t => Read(ref t.MessagesFromClients)),
            loops.Sum(t => Read(ref t.MessagesToClients)));
    }

    public IReadOnlyList<PoolEvent> Events => watch.Events.Latest;

    public TotalsStatus Totals() => new(
        Sum(m => Read(ref m.Requests) + Read(ref m.TcpConnections)),
        Sum(m => Read(ref m.ConnectionsAccepted)),
        Sum(m => Read(ref m.ConnectionsOpen)),
        Sum(m => Read(ref m.BytesFromClients)),
        Sum(m => Read(ref m.BytesToClients)),
        Sum(m => Read(ref m.BytesMoved)),
        Enumerable.Range(1, 5).ToDictionary(hundreds => $"{hundreds}xx", hundreds => Sum(m => m.ResponsesOfClass(hundreds))),
        Errors(outcome => Sum(m => m.Of(outcome))),
        Latency(HistogramSnapshot.Merge(proxies.Select(p => p.Metrics.RequestNanoseconds.Snapshot()))))
    {
        ConnectionsRefused = Sum(m => Read(ref m.ConnectionsRefused)),
    };

    /// <summary>Null for the moment in which a loop has not taken over a new pool yet.</summary>
    private static PoolCounters? CountersOf(ProxyLoop proxy, Pool pool) => proxy.PartOf(pool)?.Counters;

    private static LatencyStatus Latency(HistogramSnapshot nanoseconds) => new(
        nanoseconds.Count,
        nanoseconds.Sum / NsPerSecond,
        nanoseconds.Percentile(0.5) / NsPerSecond,
        nanoseconds.Percentile(0.9) / NsPerSecond,
        nanoseconds.Percentile(0.99) / NsPerSecond,
        nanoseconds.Percentile(0.999) / NsPerSecond,
        nanoseconds.Max / NsPerSecond,
        [.. s_latencyBounds.Select(seconds => new LatencyBound(seconds, nanoseconds.CountAtMost((long)(seconds * NsPerSecond))))]);

    private static string Shortened(string version)
    {
        var plus = version.IndexOf('+', StringComparison.Ordinal);
        return plus < 0 ? version : version[..Math.Min(version.Length, plus + 1 + RevisionDigits)];
    }

    private static long Read(ref long counter) => Volatile.Read(ref counter);

    private static Dictionary<string, long> Errors(Func<Outcome, long> count) => Enum.GetValues<Outcome>()
        .Where(outcome => outcome != Outcome.Completed)
        .ToDictionary(Outcomes.NameOf, count);

    private static CapacityStatus Capacity(in CapacityReading reading) => new(
        Math.Round(reading.RequestsPerSecond, 1),
        reading.Capacity > 0 ? Math.Round(reading.Capacity, 1) : null,
        Math.Round(reading.Use, 3),
        reading.Capacity > 0 ? Math.Round(reading.Headroom, 1) : null,
        reading.FullInMs / 1000.0);

    private static string NameOf(CircuitBreaker breaker) => breaker.State(MonotonicClock.NowMs) switch
    {
        BreakerState.Closed => "closed",
        BreakerState.Open => "open",
        BreakerState.HalfOpen => "half-open",
        BreakerState.ForcedOpen => "forced-open",
        _ => "forced-closed",
    };

    private WorkerStatus Reached(Pool pool, Worker worker) => Describe(pool, worker, new WorkerStatus(
        worker.Name, worker.Slot, worker.Generation, WorkerStatus.Ready, null, worker.Endpoint.ToString(),
        worker.InFlight, worker.Requests, worker.Failures, 0, null, null));

    private WorkerStatus Run(Pool pool, WorkerProcess process)
    {
        var status = new WorkerStatus(
            $"{process.PoolName}/{process.Slot}", process.Slot, process.Generation, process.State,
            process.Pid == 0 ? null : process.Pid, process.Endpoint.Length == 0 ? null : process.Endpoint,
            process.Worker?.InFlight ?? 0, process.Worker?.Requests ?? 0, process.Worker?.Failures ?? 0,
            process.Restarts, process.LastExit, process.StartedAt) { IsBehind = process.IsBehind };
        return process.Worker is { } worker ? Describe(pool, worker, status) : status;
    }

    private WorkerStatus Describe(Pool pool, Worker worker, WorkerStatus status)
    {
        var why = watch.Of(pool)?.Explain(worker);
        var byOperator = pool.Overlay.SwitchOf(worker.Slot);
        if (byOperator != WorkerSwitch.On && status.State == WorkerStatus.Ready)
        {
            status = status with { State = byOperator == WorkerSwitch.Drain ? WorkerStatus.Draining : WorkerStatus.Off };
            why ??= $"{status.State} because the operator said so";
        }

        return status with
        {
            State = why is not null && status.State == WorkerStatus.Ready ? WorkerStatus.Unfit : status.State,
            Why = why,
            Weight = worker.Weight,
            Zone = worker.Zone < 0 ? null : pool.Settings.Zones.Names[worker.Zone],
            Breaker = worker.Breaker is { } breaker ? NameOf(breaker) : null,
            MeanAnswerSeconds = worker.Answers > 0 ? worker.AnswerNanoseconds / NsPerSecond / worker.Answers : null,
        };
    }

    private long Sum(Func<LoopMetrics, long> count) => proxies.Sum(p => count(p.Metrics));
}
