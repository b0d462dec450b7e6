using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>When active checks are made and how many of them decide. Immutable; checked by <see cref="Check"/>.</summary>
public sealed record HealthSettings
{
    /// <summary>From one result to the next check, in milliseconds, 1 and above.</summary>
    public int IntervalMs { get; init; } = 2_000;

    /// <summary>The same after a result that speaks against the present state, so that it is decided sooner; 1 to <see cref="IntervalMs"/>.</summary>
    public int DoubtIntervalMs { get; init; } = 500;

    /// <summary>Intervals are longer or shorter by up to this share, by chance, so that balancers and workers do not fall into step; 0 to 1.</summary>
    public double JitterShare { get; init; } = 0.1;

    /// <summary>Good results in a row that make a worker healthy, 1 and above.</summary>
    public int Rise { get; init; } = 2;

    /// <summary>Bad results in a row that make it unhealthy, 1 and above.</summary>
    public int Fall { get; init; } = 3;

    /// <summary>Throws <see cref="ArgumentOutOfRangeException"/> for a value outside its range.</summary>
    public void Check()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(IntervalMs, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(DoubtIntervalMs, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(DoubtIntervalMs, IntervalMs);
        ArgumentOutOfRangeException.ThrowIfNegative(JitterShare);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(JitterShare, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(Rise, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(Fall, 1);
    }
}

/// <summary>
/// What active checks say of a worker: so many good results in a row make it healthy, so many bad ones unhealthy. The first check is due at once, and its
/// result decides alone, because nothing better is known. Whoever makes the checks owns it; one thread.
/// </summary>
public sealed class HealthState
{
    private readonly HealthSettings _settings;
    private int _against;
    private bool _isKnown;

    /// <param name="isHealthy">What it counts as until the first result.</param>
    public HealthState(HealthSettings settings, bool isHealthy, long nowMs)
    {
        settings.Check();
        _settings = settings;
        IsHealthy = isHealthy;
        NextCheckMs = nowMs;
    }

    public bool IsHealthy { get; private set; }

    /// <summary>When the next check should be made, in the caller's milliseconds.</summary>
    public long NextCheckMs { get; private set; }

    /// <summary>A check ended; one that timed out was not ok. True when <see cref="IsHealthy"/> changed by it.</summary>
    public bool OnResult(bool ok, long nowMs, RandomSource random)
    {
        _against = ok == IsHealthy ? 0 : _against + 1;
        var changes = _against > 0 && (!_isKnown || _against >= (ok ? _settings.Rise : _settings.Fall));
        _isKnown = true;
        if (changes)
        {
            IsHealthy = ok;
            _against = 0;
        }

        var intervalMs = _against > 0 ? _settings.DoubtIntervalMs : _settings.IntervalMs;
        NextCheckMs = nowMs + Math.Max(1, (long)(intervalMs * (1 + (_settings.JitterShare * ((2 * random.NextDouble()) - 1)))));
        return changes;
    }
}
