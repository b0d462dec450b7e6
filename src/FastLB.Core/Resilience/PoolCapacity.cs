namespace FastLB.Core.Resilience;

/// <summary>How much of what a pool can do is used.</summary>
/// <param name="RequestsPerSecond">At present.</param>
/// <param name="Capacity">The most that it could serve, in requests per second, never below the present; 0: not known yet.</param>
/// <param name="Use">0 to 1.</param>
/// <param name="FullInMs">When use will reach 1 if it goes on as in the last minutes, in milliseconds; null: not within a day.</param>
public readonly record struct CapacityReading(double RequestsPerSecond, double Capacity, double Use, long? FullInMs)
{
    /// <summary>Requests per second that could come on top; 0 also while the capacity is not known.</summary>
    public double Headroom => Math.Max(0, Capacity - RequestsPerSecond);
}

/// <summary>
/// Estimates how many requests per second a pool can serve, how much of that is used, and when it will all be. The model is processor sharing: the mean
/// time of an answer is W = S / (1 - use), where S is the time that it takes alone, so use = 1 - S / W, and the capacity is the present rate / use. S is the smallest mean of 10 s
/// in the last ten minutes. The mean number under way, rate * W (Little, 1961), divided by the limit, if there is one, is a second estimate of use; the greater holds.
/// The trend is the median of all slopes of use between 10 s steps of the last five minutes (Theil, 1950; Sen, 1968), told only where Mann and Kendall's
/// test (1945) finds a trend at 95 %.
/// <para>
/// Its limits: S is too large if the pool was never at rest in ten minutes, and then use is told too low. Workers that wait for a database that is slow look
/// used themselves. A mix of requests that changes (more heavy ones) looks like use. With many cores per worker answers stay fast until shortly before the
/// end (M/M/c), so low figures are worth little: below a use of 0.1 no capacity is estimated. It is a hint for people, and nothing on the data path follows it.
/// </para>
/// <para>Pure; the control thread owns it and feeds it once a second.</para>
/// </summary>
public sealed class PoolCapacity
{
    /// <summary>What one point of the trend covers, in milliseconds.</summary>
    public const long StepMs = 10_000;

    private const int MinAnswersPerStep = 20;
    private const int TrendSteps = 30;
    private const int LeastTrendSteps = 6;
    private const int SmallestSteps = 60;
    private const double LeastUse = 0.1;
    private const long DayMs = 24L * 60 * 60 * 1000;

    private readonly double[] _means = new double[SmallestSteps];
    private readonly double[] _uses = new double[TrendSteps];
    private int _steps;
    private int _usesCount;
    private bool _hasBegun;
    private long _stepAtMs;
    private long _stepAnswers;
    private long _stepNanoseconds;

    public CapacityReading Current { get; private set; }

    /// <summary>Takes the counts so far. Readings change every 10 s.</summary>
    /// <param name="answers">Of all workers, since the beginning.</param>
    /// <param name="nanoseconds">That those took together.</param>
    /// <param name="inFlight">Under way now.</param>
    /// <param name="limit">The most that may be under way; 0: none.</param>
    public CapacityReading Update(long answers, long nanoseconds, long inFlight, long limit, long nowMs)
    {
        if (!_hasBegun)
        {
            _hasBegun = true;
            Begin(answers, nanoseconds, nowMs);
        }
        else if (nowMs - _stepAtMs >= StepMs)
        {
            Current = EndStep(answers - _stepAnswers, nanoseconds - _stepNanoseconds, nowMs - _stepAtMs, inFlight, limit);
            Begin(answers, nanoseconds, nowMs);
        }

        return Current;
    }

    private void Begin(long answers, long nanoseconds, long nowMs)
    {
        _stepAtMs = nowMs;
        _stepAnswers = answers;
        _stepNanoseconds = nanoseconds;
    }

    private CapacityReading EndStep(long answers, long nanoseconds, long lengthMs, long inFlight, long limit)
    {
        var rate = Math.Max(0, answers) * 1_000.0 / lengthMs;
        var mean = answers >= MinAnswersPerStep ? Math.Max(1, (double)nanoseconds / answers) : double.PositiveInfinity;
        _means[_steps++ % SmallestSteps] = mean;
        var alone = _means.AsSpan(0, Math.Min(_steps, SmallestSteps)).ToArray().Min();
        var shared = double.IsFinite(mean) ? 1 - (alone / mean) : 0;
        var underWay = Math.Max(inFlight, double.IsFinite(mean) ? rate * mean / 1e9 : 0);
        var use = Math.Clamp(Math.Max(shared, limit > 0 ? underWay / limit : 0), 0, 1);
        Remember(use);

        // The more is used, the more an estimate is worth.
        var capacity = use < LeastUse || rate <= 0 ? Current.Capacity
            : Current.Capacity <= 0 ? rate / use
            : Current.Capacity + (((rate / use) - Current.Capacity) * use);
        return new CapacityReading(rate, capacity > 0 ? Math.Max(rate, capacity) : 0, use, FullInMs(use));
    }

    private void Remember(double use)
    {
        if (_usesCount == TrendSteps)
        {
            Array.Copy(_uses, 1, _uses, 0, --_usesCount);
        }

        _uses[_usesCount++] = use;
    }

    private long? FullInMs(double use)
    {
        var n = _usesCount;
        if (use >= 1)
        {
            return 0;
        }

        if (n < LeastTrendSteps)
        {
            return null;
        }

        var slopes = new double[n * (n - 1) / 2];
        var (count, rises) = (0, 0);
        for (var i = 0; i < n; i++)
        {
            for (var j = i + 1; j < n; j++)
            {
                slopes[count++] = (_uses[j] - _uses[i]) / (j - i);
                rises += Math.Sign(_uses[j] - _uses[i]);
            }
        }

        var deviation = Math.Sqrt(n * (n - 1.0) * ((2 * n) + 5) / 18);
        if (rises - 1 < 1.96 * deviation)
        {
            return null;
        }

        Array.Sort(slopes);
        var slope = (slopes[(count - 1) / 2] + slopes[count / 2]) / 2;

        // The line's height now is the median of the points moved along it, so that one wild last point moves nothing.
        var heights = new double[n];
        for (var i = 0; i < n; i++)
        {
            heights[i] = _uses[i] + (slope * (n - 1 - i));
        }

        Array.Sort(heights);
        var height = (heights[(n - 1) / 2] + heights[n / 2]) / 2;
        var inMs = Math.Max(0, (1 - height) / slope * StepMs);
        return slope > 0 && inMs <= DayMs ? (long)inMs : null;
    }
}
