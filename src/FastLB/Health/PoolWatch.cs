using System.Collections.Concurrent;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Health;

/// <summary>Asks a worker whether it is well; <see cref="WorkerProbe"/>, or what a test puts in its place.</summary>
internal delegate Task<ProbeResult> Probe(Worker worker, CancellationToken stopping);

/// <summary>
/// Watches one pool beside the loops, a few times a second. What it decides reaches them through the pool's snapshot, the breakers' words and the
/// limits, so that nothing here is on a request's way. Each tick:
/// <list type="number">
/// <item>workers that came are taken up, those that left forgotten;</item>
/// <item>results of health checks are taken in, and checks that are due begun;</item>
/// <item>windows of the last seconds are judged: breakers trip, outliers are ejected;</item>
/// <item>who is unfit by either gets no requests, unless too few would be left (<see cref="WorkerSet.Without"/>);</item>
/// <item>once a second the adaptive limit and the estimate of capacity follow;</item>
/// <item>what happened is told, and loops with waiting requests look again: a breaker's time may be over.</item>
/// </list>
/// One thread at a time; only <see cref="Explain"/> and <see cref="Capacity"/> may be asked from others.
/// </summary>
internal sealed class PoolWatch : IDisposable
{
    private const int SecondMs = 1_000;
    private const int SweepMs = 30_000;

    private readonly Pool _pool;
    private readonly Probe _probe;
    private readonly Action<Worker?, string> _tell;
    private readonly RandomSource _random;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentQueue<(Worker Worker, ProbeResult Result)> _results = new();
    private readonly Dictionary<Worker, Member> _members = [];
    private readonly OutlierDetector? _outliers;
    private readonly BreakerWindow? _poolWindow;
    private readonly GradientLimit? _gradient;
    private readonly PoolCapacity _capacity = new();
    private volatile IReadOnlyDictionary<Worker, string> _explanations = new Dictionary<Worker, string>();
    private HashSet<Worker> _unfit = [];
    private CapacityBox _reading = new(default);
    private bool _panicking;
    private long _nextSecondMs = long.MinValue;
    private long _nextSweepMs = long.MinValue;
    private long _gone;
    private long _goneNanoseconds;

    /// <param name="pool">Whose workers are watched.</param>
    /// <param name="probe">How one is asked.</param>
    /// <param name="tell">Is told what happened to a worker, or, with null, to the pool.</param>
    /// <param name="seed">For jitter.</param>
    public PoolWatch(Pool pool, Probe probe, Action<Worker?, string> tell, ulong seed)
    {
        _pool = pool;
        _probe = probe;
        _tell = tell;
        _random = new RandomSource(seed);
        _outliers = pool.Settings.Outliers is { } outliers ? new OutlierDetector(outliers) : null;
        _poolWindow = pool.Settings.PoolBreaker is { } breaker ? new BreakerWindow(breaker.Window) : null;
        _gradient = pool.Settings.Limits.IsAdaptive ? new GradientLimit(new GradientSettings { InitialLimit = pool.Guards.RequestLimit!.Limit }) : null;
    }

    public Pool Pool => _pool;

    /// <summary>Whether there is anything to do more often than once a second.</summary>
    public bool IsBusy => _pool.Settings.Health is not null || _outliers is not null || _pool.Guards.IsGuarded;

    /// <summary>How much of what the pool can do is used, as of the last ten seconds. Any thread.</summary>
    public CapacityReading Capacity => Volatile.Read(ref _reading).Reading;

    /// <summary>Why a worker gets no requests, in a few words; null when it does. Any thread.</summary>
    public string? Explain(Worker worker) => _explanations.GetValueOrDefault(worker);

    public void Tick(long nowMs)
    {
        // 1. Who is there.
        var workers = _pool.Members.Ready;
        TakeUp(workers, nowMs);

        // 2. Checks.
        TakeResults(nowMs);
        foreach (var worker in workers)
        {
            BeginCheck(_members[worker], nowMs);
        }

        // 3. Windows.
        JudgeBreakers(workers, nowMs);
        var ejects = JudgeOutliers(workers, nowMs);

        // 4. Who is unfit.
        PublishUnfit(workers, ejects);

        // 5. Once a second.
        if (nowMs >= _nextSecondMs)
        {
            _nextSecondMs = nowMs + SecondMs;
            FollowLoad(workers, nowMs);
        }

        // 6. News and waiters.
        TellTransitions(workers, nowMs);
        _pool.Guards.Waiters.WakeAll();
        if (nowMs >= _nextSweepMs)
        {
            _nextSweepMs = nowMs + SweepMs;
            foreach (var limit in _pool.Guards.RateLimits)
            {
                limit.Limiter.Sweep(nowMs * 1000);
            }
        }
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
    }

    private void TakeUp(Worker[] workers, long nowMs)
    {
        foreach (var worker in workers)
        {
            if (!_members.ContainsKey(worker))
            {
                _members.Add(worker, new Member(worker, _pool.Settings, nowMs));
            }
        }

        foreach (var gone in _members.Keys.Except(workers).ToArray())
        {
            // Its answers stay in the sums, which only grow.
            _gone += gone.Answers;
            _goneNanoseconds += gone.AnswerNanoseconds;
            _members.Remove(gone);
        }
    }

    private void BeginCheck(Member member, long nowMs)
    {
        if (member.Health is not { } health || member.IsAsked || nowMs < health.NextCheckMs)
        {
            return;
        }

        member.IsAsked = true;
        var worker = member.Worker;
        _ = AskAsync(worker);
    }

    private async Task AskAsync(Worker worker)
    {
        ProbeResult result;
        try
        {
            result = await _probe(worker, _stopping.Token).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            // Whatever it was: a check that never came back would be the worker's last one. When FastLB ends nobody reads it.
            result = new ProbeResult(false, failure.Message);
        }

        _results.Enqueue((worker, result));
    }

    private void TakeResults(long nowMs)
    {
        while (_results.TryDequeue(out var result))
        {
            if (!_members.TryGetValue(result.Worker, out var member))
            {
                continue;
            }

            member.IsAsked = false;
            member.Problem = result.Result.Problem;
            if (member.Health!.OnResult(result.Result.IsWell, nowMs, _random))
            {
                _tell(result.Worker, result.Result.IsWell ? "is healthy again" : $"is unhealthy: {result.Result.Problem}");
            }
        }
    }

    private void JudgeBreakers(Worker[] workers, long nowMs)
    {
        var windows = _members.Values.Select(m => m.Window).OfType<BreakerWindow>().ToArray();
        foreach (var worker in workers)
        {
            if (_members[worker].Window is not { } window)
            {
                continue;
            }

            if (window.Evaluate(worker.Sample, Baseline.Of(windows, window), nowMs) is Verdict.TooManyFailures or Verdict.TooSlow
                && worker.Breaker!.Trip(nowMs, _random))
            {
                window.Clear();
            }
        }

        if (_poolWindow is not null)
        {
            var all = workers.Aggregate(default(Sample), (sum, w) => sum + w.Sample);
            if (_poolWindow.Evaluate(all, default, nowMs) is Verdict.TooManyFailures or Verdict.TooSlow && _pool.Guards.Breaker!.Trip(nowMs, _random))
            {
                _poolWindow.Clear();
            }
        }
    }

    /// <summary>Whether somebody was ejected or came back.</summary>
    private bool JudgeOutliers(Worker[] workers, long nowMs)
    {
        if (_outliers is null)
        {
            return false;
        }

        var members = new List<OutlierMember>(workers.Length);
        foreach (var worker in workers)
        {
            var member = _members[worker].Outlier!;
            member.Observe(worker.Sample, worker.FailuresInARow, nowMs);
            members.Add(member);
        }

        var before = members.ConvertAll(m => m.Ejected);
        if (!_outliers.Evaluate(members, nowMs))
        {
            return false;
        }

        for (var i = 0; i < workers.Length; i++)
        {
            if (members[i].Ejected != before[i])
            {
                _tell(workers[i], members[i].Ejected == OutlierCause.None
                    ? "is no longer ejected"
                    : $"is ejected for {(members[i].EjectedUntilMs - nowMs) / 1000.0:0.#} s: {Describe(members[i].Ejected)}");
            }
        }

        return true;
    }

    private void PublishUnfit(Worker[] workers, bool isNew)
    {
        var explanations = new Dictionary<Worker, string>();
        foreach (var worker in workers)
        {
            var member = _members[worker];
            if (member.Health is { IsHealthy: false })
            {
                explanations[worker] = $"unhealthy: {member.Problem}";
            }
            else if (member.Outlier is { Ejected: not OutlierCause.None } outlier)
            {
                explanations[worker] = $"ejected: {Describe(outlier.Ejected)}";
            }
        }

        if (isNew || !_unfit.SetEquals(explanations.Keys))
        {
            _unfit = [.. explanations.Keys];
            _pool.Shun(_unfit);
        }

        _explanations = explanations;
        if (_pool.Workers.IsPanicking != _panicking)
        {
            _panicking = !_panicking;
            _tell(null, _panicking
                ? $"{_unfit.Count} of {workers.Length} workers are unfit, so few are left that all are used"
                : "enough workers are fit again to do without the others");
        }
    }

    private void FollowLoad(Worker[] workers, long nowMs)
    {
        var answers = _gone + workers.Sum(w => w.Answers);
        var nanoseconds = _goneNanoseconds + workers.Sum(w => w.AnswerNanoseconds);
        var inFlight = _pool.InFlight.Total;
        if (_gradient is not null)
        {
            _pool.Guards.RequestLimit!.Limit = _gradient.Update(answers, nanoseconds, (int)Math.Min(int.MaxValue, inFlight));
        }

        var limit = _pool.Guards.RequestLimit?.Limit ?? (long)_pool.Settings.Limits.WorkerRequests * workers.Length;
        Volatile.Write(ref _reading, new CapacityBox(_capacity.Update(answers, nanoseconds, inFlight, limit, nowMs)));
    }

    private void TellTransitions(Worker[] workers, long nowMs)
    {
        foreach (var worker in workers)
        {
            Tell(worker.Breaker, worker, _members[worker].Window, nowMs);
        }

        Tell(_pool.Guards.Breaker, null, _poolWindow, nowMs);
    }

    private void Tell(CircuitBreaker? breaker, Worker? worker, BreakerWindow? window, long nowMs)
    {
        while (breaker is not null && breaker.TryReadTransition(nowMs, out var transition))
        {
            window?.Clear();
            _tell(worker, $"breaker {Describe(transition.To)}: {Describe(transition.Cause)}");
        }
    }

    private static string Describe(BreakerState state) => state switch
    {
        BreakerState.Closed => "closed",
        BreakerState.Open => "open",
        BreakerState.HalfOpen => "half-open",
        BreakerState.ForcedOpen => "forced open",
        _ => "forced closed",
    };

    private static string Describe(BreakerCause cause) => cause switch
    {
        BreakerCause.Failures => "failures in a row",
        BreakerCause.Window => "too many failures or slow answers in the last seconds",
        BreakerCause.OpenTimeOver => "its time is over, requests probe",
        BreakerCause.ProbeFailed => "a probe failed",
        BreakerCause.ProbesSucceeded => "probes succeeded",
        BreakerCause.ProbesLost => "probes were not heard of",
        _ => "the operator",
    };

    private static string Describe(OutlierCause cause) => cause switch
    {
        OutlierCause.ConsecutiveFailures => "failures in a row",
        OutlierCause.SuccessShare => "it fails more often than the others",
        _ => "it is slower than the others by far",
    };

    /// <summary>A struct of several words in a box that is swapped as one.</summary>
    private sealed record CapacityBox(CapacityReading Reading);

    private sealed class Member(Worker worker, PoolSettings settings, long nowMs)
    {
        public Worker Worker { get; } = worker;

        public HealthState? Health { get; } = settings.Health is { } health ? new HealthState(health, isHealthy: true, nowMs) : null;

        public OutlierMember? Outlier { get; } = settings.Outliers is { } outliers ? new OutlierMember(outliers) : null;

        public BreakerWindow? Window { get; } = settings.Breaker is { } breaker ? new BreakerWindow(breaker.Window) : null;

        public bool IsAsked { get; set; }

        public string Problem { get; set; } = "";
    }
}
