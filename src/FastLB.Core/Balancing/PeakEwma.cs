namespace FastLB.Core.Balancing;

/// <summary>
/// How long something takes, judged by its peaks (Finagle's "Peak EWMA" load metric): a longer time than the estimate counts at once and
/// in full, shorter ones pull it down exponentially in the time that has passed. While nothing is measured it falls as well, so that who was slow once is
/// tried again. A value, with the time passed in; not shared between threads.
/// </summary>
/// <param name="Nanoseconds">The estimate when it was last measured.</param>
/// <param name="MeasuredMs">When that was, in milliseconds of the caller's clock.</param>
public readonly record struct PeakEwma(double Nanoseconds, long MeasuredMs)
{
    /// <summary>The time in which the estimate falls to 1/e.</summary>
    public const int TauMs = 10_000;

    /// <summary>From this age on (1/700 is left by then) the estimate counts as never made.</summary>
    public const int ForgottenAfterMs = Steps * Steps;

    /// <summary>The least and the most that a failure counts as, when it did not take longer than that.</summary>
    public const double LeastFailureNanoseconds = 1e6;

    /// <inheritdoc cref="LeastFailureNanoseconds"/>
    public const double MostFailureNanoseconds = 5e9;

    private const int Steps = 256;

    // exp(-age / tau) is a product of two of these, since a choice has no time for two calls of exp.
    private static readonly double[] s_byStep = [.. Enumerable.Range(0, Steps).Select(ms => Math.Exp(-(double)ms / TauMs))];
    private static readonly double[] s_bySteps = [.. Enumerable.Range(0, Steps).Select(steps => Math.Exp(-(double)steps * Steps / TauMs))];

    public static PeakEwma Never { get; } = new(0, long.MinValue);

    /// <summary>The estimate at <paramref name="nowMs"/>; 0 when there is none.</summary>
    public double At(long nowMs) => Nanoseconds * LeftAfter(nowMs - MeasuredMs);

    /// <summary>Something took <paramref name="sampleNanoseconds"/>, from 0.</summary>
    public PeakEwma After(double sampleNanoseconds, long nowMs)
    {
        var left = LeftAfter(nowMs - MeasuredMs);

        // 0 means "not measured", so a time that the clock cannot see counts as one nanosecond.
        sampleNanoseconds = Math.Max(1, sampleNanoseconds);
        return left == 0 || sampleNanoseconds >= Nanoseconds
            ? new PeakEwma(sampleNanoseconds, nowMs)
            : new PeakEwma(sampleNanoseconds + ((Nanoseconds - sampleNanoseconds) * left), nowMs);
    }

    /// <summary>
    /// Something failed after <paramref name="nanoseconds"/>, or after an unknown time (0). It counts as twice as slow as the estimate: now and
    /// then one does little and is forgotten in seconds, while of who always fails the estimate grows to <see cref="MostFailureNanoseconds"/>
    /// within a dozen requests.
    /// </summary>
    public PeakEwma AfterFailure(double nanoseconds, long nowMs)
    {
        var doubled = Math.Clamp(2 * Math.Max(At(nowMs), nanoseconds), LeastFailureNanoseconds, MostFailureNanoseconds);
        return After(Math.Max(doubled, nanoseconds), nowMs);
    }

    /// <summary>The share that is left of an estimate; 0 of one that is too old, that was never made or that lies in the future.</summary>
    private static double LeftAfter(long ageMs) =>
        (ulong)ageMs < ForgottenAfterMs ? s_byStep[ageMs % Steps] * s_bySteps[ageMs / Steps] : 0;
}
