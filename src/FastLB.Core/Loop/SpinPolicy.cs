namespace FastLB.Core.Loop;

/// <summary>
/// Whether a loop that has nothing to do looks again for a while before it sleeps. At a moderate load waking up costs more than the work
/// (the kernel switches to the thread, the caches are cold), which spinning saves for CPU time that nobody else gets meanwhile. With
/// <c>adaptive</c> a loop spins only while the pauses between its events are so short that spinning would have bridged them:
/// their moving average is at most the limit. Plain data, owned by its loop.
/// </summary>
public struct SpinPolicy
{
    /// <summary>Longer than this is not waiting but burning: 1 ms.</summary>
    public const int MaxUs = 1_000;

    private readonly bool _isAdaptive;
    private long _averageNs;

    /// <param name="limitUs">Microseconds, 0 (never) to <see cref="MaxUs"/>.</param>
    /// <param name="isAdaptive">Whether the pauses so far decide.</param>
    public SpinPolicy(int limitUs, bool isAdaptive)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limitUs);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limitUs, MaxUs);
        _isAdaptive = isAdaptive;
        LimitNs = limitUs * 1_000L;

        // It begins without spinning; a busy loop learns that it should within a few pauses.
        _averageNs = 2 * LimitNs;
    }

    /// <summary>The most that one pause is spun through, in nanoseconds.</summary>
    public long LimitNs { get; }

    public readonly bool ShouldSpin => LimitNs > 0 && (!_isAdaptive || _averageNs <= LimitNs);

    /// <summary>A pause ended, spun through or slept through.</summary>
    public void NotePause(long nanoseconds)
    {
        // Pauses count as four times the limit at most, so that one quiet second is not remembered for long.
        var pause = Math.Clamp(nanoseconds, 0, 4 * LimitNs);
        _averageNs += (pause - _averageNs) / 8;
    }
}
