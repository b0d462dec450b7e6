namespace FastLB.Core.Resilience;

/// <summary>How often each key may ask, and how often at once (<see cref="RateLimiter"/>). Immutable; checked by <see cref="Check"/>.</summary>
public sealed record RateSettings
{
    /// <summary>One request per hour.</summary>
    public const double MinPerSecond = 1.0 / 3_600;

    public const double MaxPerSecond = 1_000_000;

    /// <summary>The most that <see cref="Burst"/> may be: 2^20.</summary>
    public const int MaxBurst = 1 << 20;

    /// <summary>Requests per second in the long run, <see cref="MinPerSecond"/> to <see cref="MaxPerSecond"/>.</summary>
    public double PerSecond { get; init; } = 100;

    /// <summary>Requests that a key which was quiet may make at once, 1 to <see cref="MaxBurst"/>.</summary>
    public int Burst { get; init; } = 100;

    /// <summary>Keys that are remembered at once, 1 to 2^26; 9 bytes each and up to twice that. Give it twice as many as clients are active.</summary>
    public int Keys { get; init; } = 1 << 16;

    /// <summary>Throws <see cref="ArgumentOutOfRangeException"/> for a value outside its range.</summary>
    public void Check()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(PerSecond, MinPerSecond);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(PerSecond, MaxPerSecond);
        ArgumentOutOfRangeException.ThrowIfEqual(PerSecond, double.NaN);
        ArgumentOutOfRangeException.ThrowIfLessThan(Burst, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Burst, MaxBurst);
    }
}
