namespace FastLB.Core.Resilience;

/// <summary>What rates open a breaker. Immutable.</summary>
public sealed record BreakerWindowSettings
{
    /// <summary>The window, in milliseconds, 1 and above.</summary>
    public long WindowMs { get; init; } = 10_000;

    /// <summary>With fewer answers in the window nothing is judged.</summary>
    public int MinAnswers { get; init; } = 50;

    /// <summary>The failure share below which a worker is never blamed, 0 to 1; above 1: failures are not judged.</summary>
    public double FailureShare { get; init; } = 0.5;

    /// <summary>The same for slow answers.</summary>
    public double SlowShare { get; init; } = 0.8;

    /// <summary>By how many standard errors a worker must be worse than the others.</summary>
    public double StandardErrors { get; init; } = 3;
}

/// <summary>What a window says of a worker.</summary>
public enum Verdict
{
    /// <summary>Too few answers to say.</summary>
    Unknown,

    Well,

    TooManyFailures,

    TooSlow,
}

/// <summary>What the other workers of a pool did in the same window.</summary>
public readonly record struct Baseline(Sample Others)
{
    /// <summary>The pool's windows as they were at the last evaluation, without <paramref name="own"/>, which would hide behind itself in a small pool.</summary>
    public static Baseline Of(IEnumerable<BreakerWindow> pool, BreakerWindow own)
    {
        var others = default(Sample);
        foreach (var window in pool)
        {
            others = ReferenceEquals(window, own) ? others : others + window.Current;
        }

        return new Baseline(others);
    }
}

/// <summary>
/// Whether a worker's rates of the last seconds should open its breaker: it fails or is slow more often than a fixed share, and more often than the
/// others do, by more than chance explains. With the second condition a fault that they have in common (a database that is down) opens no breaker: sending
/// elsewhere would not help. The threshold is the greater of the two, the second being p + k * sqrt(p * (1 - p) / n) for the others' share p and this worker's n answers
/// (the standard error of a binomial proportion, as in a p control chart, Shewhart, 1931). The latency is judged by the share of slow answers: a mean
/// would follow its few longest ones.
/// <para>Pure; the control thread owns it and evaluates it a few times a second.</para>
/// </summary>
public sealed class BreakerWindow(BreakerWindowSettings settings)
{
    private readonly RollingCounts _counts = new(settings.WindowMs);

    /// <summary>The window's counts at the last evaluation.</summary>
    public Sample Current => _counts.Current;

    /// <summary>Takes the counts so far and judges the window up to now.</summary>
    public Verdict Evaluate(in Sample cumulative, in Baseline pool, long nowMs)
    {
        _counts.Add(cumulative, nowMs);
        var own = _counts.Current;
        if (own.Answers < Math.Max(1, settings.MinAnswers))
        {
            return Verdict.Unknown;
        }

        return IsTooMuch(own.FailureShare, settings.FailureShare, pool.Others.FailureShare, own.Answers) ? Verdict.TooManyFailures
            : IsTooMuch(own.SlowShare, settings.SlowShare, pool.Others.SlowShare, own.Answers) ? Verdict.TooSlow
            : Verdict.Well;
    }

    /// <summary>The breaker changed: what was before must not open it again.</summary>
    public void Clear() => _counts.Clear();

    private bool IsTooMuch(double own, double floor, double others, long answers) =>
        own >= floor && own > others + (settings.StandardErrors * Math.Sqrt(others * (1 - others) / answers));
}
