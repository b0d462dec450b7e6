namespace FastLB.Core.Resilience;

/// <summary>What a worker did since it exists. Plain numbers that only grow.</summary>
/// <param name="Answers">Requests that ended, well or not.</param>
/// <param name="Failures">Of those, the ones that the worker failed, statuses that count as failures included.</param>
/// <param name="Slow">Of those, the ones that took longer than the limit for slow ones.</param>
/// <param name="Nanoseconds">What all of them took together.</param>
public readonly record struct Sample(long Answers, long Failures, long Slow = 0, long Nanoseconds = 0)
{
    public double FailureShare => Answers > 0 ? (double)Failures / Answers : 0;

    public double SlowShare => Answers > 0 ? (double)Slow / Answers : 0;

    /// <summary>0 when there were no answers.</summary>
    public double MeanNanoseconds => Answers > 0 ? (double)Nanoseconds / Answers : 0;

    public static Sample operator +(Sample one, Sample other) =>
        new(one.Answers + other.Answers, one.Failures + other.Failures, one.Slow + other.Slow, one.Nanoseconds + other.Nanoseconds);

    public static Sample operator -(Sample later, Sample earlier) =>
        new(later.Answers - earlier.Answers, later.Failures - earlier.Failures, later.Slow - earlier.Slow, later.Nanoseconds - earlier.Nanoseconds);
}

/// <summary>
/// The difference that cumulative counts made in the last seconds, from samples a few times a second: at most 64 of them are kept, spread over the window, so
/// that the window is up to a 32nd longer than asked for. The control thread owns it.
/// </summary>
public sealed class RollingCounts
{
    private const int Kept = 64;

    private readonly (long AtMs, Sample Sample)[] _samples = new (long, Sample)[Kept];
    private readonly long _windowMs;
    private int _first;
    private int _count;
    private Sample _last;

    /// <param name="windowMs">1 and above.</param>
    public RollingCounts(long windowMs)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(windowMs, 1);
        _windowMs = windowMs;
    }

    /// <summary>What happened in the window up to the last sample. Nothing until there were two.</summary>
    public Sample Current => _count > 0 ? _last - _samples[_first].Sample : default;

    /// <summary>How long that window is in truth, in milliseconds.</summary>
    public long SpanMs { get; private set; }

    public void Add(in Sample cumulative, long nowMs)
    {
        _last = cumulative;

        // The oldest kept one is the last that the whole window lies behind.
        while (_count > 1 && _samples[(_first + 1) % Kept].AtMs <= nowMs - _windowMs)
        {
            _first = (_first + 1) % Kept;
            _count--;
        }

        if (_count == 0 || nowMs - _samples[(_first + _count - 1) % Kept].AtMs >= _windowMs / (Kept / 2))
        {
            if (_count == Kept)
            {
                _first = (_first + 1) % Kept;
                _count--;
            }

            _samples[(_first + _count) % Kept] = (nowMs, cumulative);
            _count++;
        }

        SpanMs = nowMs - _samples[_first].AtMs;
    }

    /// <summary>Forgets everything: the next sample begins a window.</summary>
    public void Clear()
    {
        _count = 0;
        SpanMs = 0;
    }
}
