namespace FastLB.Core.Resilience;

/// <summary>So many requests per period for each key, and so many at once (<see cref="RateLimiter"/>). Immutable; checked by <see cref="Check"/>.</summary>
public sealed record RateSettings
{
    /// <summary>The most that <see cref="Burst"/> may be: 2^20.</summary>
    public const int MaxBurst = 1 << 20;

    private const long MicrosecondsPerHour = 3_600_000_000;

    /// <summary>Requests per <see cref="PeriodMs"/>, 1 and above. Together from 1 per hour to a million per second.</summary>
    public long Requests { get; init; } = 100;

    /// <summary>In milliseconds, up to an hour.</summary>
    public long PeriodMs { get; init; } = 1_000;

    /// <summary>Requests that a key which was quiet may make at once, 1 to <see cref="MaxBurst"/>.</summary>
    public int Burst { get; init; } = 100;

    /// <summary>Keys that are remembered at once, 1 to 2^26; 9 bytes each. Give it twice as many as clients are active.</summary>
    public int Keys { get; init; } = 1 << 16;

    /// <summary>Throws <see cref="ArgumentOutOfRangeException"/> for a value outside its range.</summary>
    public void Check()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Requests, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(PeriodMs, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(PeriodMs, MicrosecondsPerHour / 1000);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Requests, PeriodMs * 1_000);
        ArgumentOutOfRangeException.ThrowIfLessThan(Burst, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Burst, MaxBurst);
    }
}
