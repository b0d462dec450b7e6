using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>When workers are ejected and for how long. Immutable.</summary>
public sealed record OutlierSettings
{
    /// <summary>What success shares and latencies are taken over, in milliseconds.</summary>
    public long WindowMs { get; init; } = 10_000;

    /// <summary>Failures in a row; 0: not judged.</summary>
    public int ConsecutiveFailures { get; init; } = 5;

    /// <summary>Shares and latencies are judged only of workers with so many answers in the window, 1 and above.</summary>
    public int MinAnswers { get; init; } = 100;

    /// <summary>And only if there are so many of those: among fewer a mean and a deviation say nothing.</summary>
    public int MinWorkers { get; init; } = 5;

    /// <summary>The failure share below which no worker is ejected for it, however well the others do; 0 to 1.</summary>
    public double MinFailureShare { get; init; } = 0.05;

    /// <summary>So many standard deviations below the mean success share; 0: not judged.</summary>
    public double Deviations { get; init; } = 1.9;

    /// <summary>Mean latencies so many times the pool's median; 0: not judged.</summary>
    public double LatencyFactor { get; init; } = 3;

    /// <summary>The time of a first ejection, in milliseconds; the n-th lasts n times as long.</summary>
    public long EjectionMs { get; init; } = 30_000;

    public long MaxEjectionMs { get; init; } = 300_000;

    /// <summary>The most that are ejected at once, 0 to 1 of the pool; not 0 but at least one worker, and never the last.</summary>
    public double MaxEjectedShare { get; init; } = 0.2;
}

/// <summary>Why a worker is out.</summary>
public enum OutlierCause
{
    None,

    ConsecutiveFailures,

    SuccessShare,

    Latency,
}

/// <summary>One worker as the detector sees it. The control thread owns it and keeps it as long as the worker.</summary>
public sealed class OutlierMember(OutlierSettings settings)
{
    internal RollingCounts Counts { get; } = new(settings.WindowMs);

    /// <summary>Why it is out; <see cref="OutlierCause.None"/>: it is not.</summary>
    public OutlierCause Ejected { get; private set; }

    /// <summary>When it may come back, in the caller's milliseconds.</summary>
    public long EjectedUntilMs { get; private set; }

    /// <summary>What the length of its next ejection grows with: ejections so far, less one for each that it stayed well as long as one lasts.</summary>
    public int Ejections { get; private set; }

    /// <summary>Without those that led to its last ejection: while it was out no request came that could have ended the row.</summary>
    internal int FailuresInARow { get; private set; }

    internal long WellSinceMs { get; private set; }

    private int _forgiven;

    /// <summary>Counts of the worker since it exists, and its failures in a row at this moment. To be told before each evaluation.</summary>
    public void Observe(in Sample cumulative, int failuresInARow, long nowMs)
    {
        Counts.Add(cumulative, nowMs);
        _forgiven = failuresInARow < _forgiven ? 0 : _forgiven;
        FailuresInARow = failuresInARow - _forgiven;
    }

    internal void Eject(OutlierCause cause, long untilMs)
    {
        Invariant.That(Ejected == OutlierCause.None && cause != OutlierCause.None, "a worker is ejected once");
        Ejections++;
        Ejected = cause;
        EjectedUntilMs = untilMs;
    }

    /// <summary>It comes back, and what led to its ejection does not lead to the next.</summary>
    internal void Restore(long nowMs)
    {
        Ejected = OutlierCause.None;
        WellSinceMs = nowMs;
        Counts.Clear();
        _forgiven += FailuresInARow;
        FailuresInARow = 0;
    }

    internal void Fade(long nowMs)
    {
        Ejections--;
        WellSinceMs = nowMs;
    }
}

/// <summary>
/// Ejects workers that are clearly worse than their pool (after Envoy's outlier detection): failures in a row, a success share below the mean minus 1.9 standard
/// deviations, a mean latency far above the median. It looks at workers together, which is what a breaker does not. An ejection ends
/// with its time; the next is longer, and that fades while the worker is well.
/// <para>
/// At most a share of the workers is out, never rounded down to none, and never the last one (TRAPS 17); where more deserve it, those that came first in the pool's
/// order go. Pure; one control thread.
/// </para>
/// </summary>
public sealed class OutlierDetector(OutlierSettings settings)
{
    /// <summary>
    /// How many workers of <paramref name="workers"/> may be out at once: the share, rounded down, but at least one unless the share is 0, and at most all but one.
    /// </summary>
    public int MostEjected(int workers) => settings.MaxEjectedShare <= 0 || workers < 2 ? 0
        : Math.Clamp((int)(workers * settings.MaxEjectedShare), 1, workers - 1);

    /// <summary>Ends ejections whose time is over and makes new ones. True when anything changed. A few times a second.</summary>
    /// <param name="members">The pool's workers. Those that are no longer in it just are not in the list.</param>
    public bool Evaluate(IReadOnlyList<OutlierMember> members, long nowMs)
    {
        var changed = false;
        var ejected = 0;
        foreach (var member in members)
        {
            if (member.Ejected != OutlierCause.None && nowMs >= member.EjectedUntilMs)
            {
                member.Restore(nowMs);
                changed = true;
            }

            if (member.Ejected != OutlierCause.None)
            {
                ejected++;
            }
            else if (member.Ejections > 0 && nowMs - member.WellSinceMs >= settings.EjectionMs)
            {
                member.Fade(nowMs);
            }
        }

        // The pool may have become smaller meanwhile.
        var most = MostEjected(members.Count);
        for (; ejected > most; ejected--)
        {
            members.Where(member => member.Ejected != OutlierCause.None).MinBy(member => member.EjectedUntilMs)!.Restore(nowMs);
            changed = true;
        }

        var bounds = BoundsOf(members);
        foreach (var member in members)
        {
            var cause = member.Ejected == OutlierCause.None ? CauseOf(member, bounds) : OutlierCause.None;
            if (cause != OutlierCause.None && ejected < most)
            {
                member.Eject(cause, nowMs + (long)Math.Min(settings.MaxEjectionMs, settings.EjectionMs * (member.Ejections + 1.0)));
                ejected++;
                changed = true;
            }
        }

        Invariant.That(ejected <= most && (ejected == 0 || ejected < members.Count), "never the last worker is ejected");
        return changed;
    }

    private OutlierCause CauseOf(OutlierMember member, in (double SuccessShare, double Nanoseconds) bounds)
    {
        if (settings.ConsecutiveFailures > 0 && member.FailuresInARow >= settings.ConsecutiveFailures)
        {
            return OutlierCause.ConsecutiveFailures;
        }

        var counts = member.Counts.Current;
        return counts.Answers < Math.Max(1, settings.MinAnswers) ? OutlierCause.None
            : counts.FailureShare >= settings.MinFailureShare && 1 - counts.FailureShare < bounds.SuccessShare ? OutlierCause.SuccessShare
            : counts.MeanNanoseconds > bounds.Nanoseconds ? OutlierCause.Latency
            : OutlierCause.None;
    }

    /// <summary>The least success share and the greatest mean latency of workers that are not outliers.</summary>
    private (double SuccessShare, double Nanoseconds) BoundsOf(IReadOnlyList<OutlierMember> members)
    {
        List<Sample> judged = [];
        foreach (var member in members)
        {
            var counts = member.Counts.Current;
            if (member.Ejected == OutlierCause.None && counts.Answers >= Math.Max(1, settings.MinAnswers))
            {
                judged.Add(counts);
            }
        }

        if (judged.Count < Math.Max(2, settings.MinWorkers))
        {
            return (double.NegativeInfinity, double.PositiveInfinity);
        }

        var mean = judged.Average(counts => 1 - counts.FailureShare);
        var deviation = Math.Sqrt(judged.Average(counts => Math.Pow(1 - counts.FailureShare - mean, 2)));
        var latencies = judged.Select(counts => counts.MeanNanoseconds).Order().ToArray();
        var median = (latencies[(latencies.Length - 1) / 2] + latencies[latencies.Length / 2]) / 2;
        return (
            settings.Deviations > 0 ? mean - (settings.Deviations * deviation) : double.NegativeInfinity,
            settings.LatencyFactor > 0 ? median * settings.LatencyFactor : double.PositiveInfinity);
    }
}

/// <summary>When so few workers of a pool are well that all are used: those that are left would only drown (Envoy's panic threshold; TRAPS 17).</summary>
public static class PanicMode
{
    /// <summary>Below this share of healthy workers all are used.</summary>
    public const double HealthyShare = 0.5;

    public static bool Applies(int healthy, int workers, double healthyShare = HealthyShare) => healthy < workers * healthyShare;
}
