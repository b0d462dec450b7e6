using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>
/// What active checks say of a worker: so many good results in a row make it healthy, so many bad ones unhealthy. The first check is due at once, and its
/// result decides alone, because nothing better is known. A result that speaks against the present state is checked again after a quarter of the interval. Intervals are
/// up to a tenth longer or shorter, by chance, so that balancers and workers do not fall into step. Whoever makes the checks owns it; one thread.
/// </summary>
public sealed class HealthState
{
    private const double JitterShare = 0.1;

    private readonly HealthCheckSettings _settings;
    private int _against;
    private bool _isKnown;

    /// <param name="isHealthy">What it counts as until the first result.</param>
    public HealthState(HealthCheckSettings settings, bool isHealthy, long nowMs)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.IntervalMs, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.Rise, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.Fall, 1);
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

        var intervalMs = _against > 0 ? _settings.IntervalMs / 4.0 : _settings.IntervalMs;
        NextCheckMs = nowMs + Math.Max(1, (long)(intervalMs * (1 + (JitterShare * ((2 * random.NextDouble()) - 1)))));
        return changes;
    }
}
