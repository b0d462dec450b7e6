namespace FastLB.Core.Resilience;

/// <summary>How a limit on requests under way follows what its workers can do. Immutable.</summary>
public sealed record GradientSettings
{
    public int MinLimit { get; init; } = 4;

    public int MaxLimit { get; init; } = 10_000;

    public int InitialLimit { get; init; } = 64;

    /// <summary>How much longer than usual answers may take before the limit shrinks: 1.5 is half as long again.</summary>
    public double Tolerance { get; init; } = 1.5;

    /// <summary>Requests that may wait at the workers: what the limit grows by in each round in which answers are not slow.</summary>
    public int QueueSize { get; init; } = 4;

    /// <summary>How much of a round's result is taken over, above 0 up to 1.</summary>
    public double Smoothing { get; init; } = 0.2;

    /// <summary>Rounds that the usual time is averaged over, 1 and above.</summary>
    public int LongRounds { get; init; } = 600;
}

/// <summary>
/// Finds how many requests may be under way by the gradient of latency (the idea of Netflix's concurrency-limits, "gradient2", and of TCP Vegas, Brakmo and
/// Peterson, 1995): while answers take about as long as usual the limit grows by a small queue; when they take longer, requests queue at the workers, and
/// it shrinks in proportion, to half at most per round. The usual time is a slow moving average, which is pulled down
/// when it is more than twice the present one. A limit that is not even half in use says nothing and stays.
/// <para>
/// It needs rounds that are not overloaded to learn the usual time from, and with the default tolerance it settles at some two to three times what workers can
/// do at once. Workers that become slower for good are cut down at first, until the usual time has followed, within some <see cref="GradientSettings.LongRounds"/> rounds. Overload that
/// lasts as long counts as usual too, which no measure of latency alone can tell apart.
/// Pure; the control thread owns it, feeds it once a second or so and sets the <see cref="AtomicLimit"/>.
/// </para>
/// </summary>
public sealed class GradientLimit
{
    private readonly GradientSettings _settings;
    private double _limit;
    private double _longNanoseconds;
    private int _rounds;
    private long _answers;
    private long _nanoseconds;

    public GradientLimit(GradientSettings settings)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.MinLimit, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.MaxLimit, settings.MinLimit);
        _settings = settings;
        _limit = Math.Clamp(settings.InitialLimit, settings.MinLimit, settings.MaxLimit);
    }

    public int Limit => (int)_limit;

    /// <summary>What counts as the usual time of an answer, in nanoseconds; 0 before the first round.</summary>
    public double LongNanoseconds => _longNanoseconds;

    /// <summary>A round is over.</summary>
    /// <param name="answers">Since the beginning.</param>
    /// <param name="nanoseconds">That those took, together.</param>
    /// <param name="inFlight">Under way now, or better the most in the round.</param>
    /// <returns>The limit from now on.</returns>
    public int Update(long answers, long nanoseconds, int inFlight)
    {
        var count = answers - _answers;
        var time = nanoseconds - _nanoseconds;
        (_answers, _nanoseconds) = (answers, nanoseconds);
        if (count <= 0 || time <= 0)
        {
            return Limit;
        }

        var shortNanoseconds = (double)time / count;
        _rounds = Math.Min(_rounds + 1, Math.Max(1, _settings.LongRounds));
        _longNanoseconds += (shortNanoseconds - _longNanoseconds) / _rounds;
        if (_longNanoseconds > 2 * shortNanoseconds)
        {
            _longNanoseconds *= 0.95;
        }

        if (inFlight >= _limit / 2)
        {
            var gradient = Math.Clamp(_settings.Tolerance * _longNanoseconds / shortNanoseconds, 0.5, 1);
            var next = (_limit * gradient) + _settings.QueueSize;
            _limit = Math.Clamp((_limit * (1 - _settings.Smoothing)) + (next * _settings.Smoothing), _settings.MinLimit, _settings.MaxLimit);
        }

        return Limit;
    }
}
