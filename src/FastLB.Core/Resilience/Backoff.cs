using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>
/// How long to wait before trying again: exponential backoff with full jitter, a moment drawn evenly from nothing to the bound that doubles with each attempt
/// (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Spreading over the whole span is what keeps those
/// that failed together from coming back together.
/// </summary>
public static class Backoff
{
    /// <summary>Milliseconds from 0 to the lesser of <paramref name="capMs"/> and <paramref name="baseMs"/> * 2^<paramref name="attempt"/>, both ends included.</summary>
    /// <param name="attempt">From 0.</param>
    /// <param name="baseMs">0 and above.</param>
    /// <param name="capMs">0 and above.</param>
    public static int DelayMs(int attempt, int baseMs, int capMs, RandomSource random)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(attempt);
        ArgumentOutOfRangeException.ThrowIfNegative(baseMs);
        ArgumentOutOfRangeException.ThrowIfNegative(capMs);
        return (int)(random.NextDouble() * (BoundMs(attempt, baseMs, capMs) + 1));
    }

    /// <summary>The same with equal jitter: at least half of the bound, for what has to rest in any case.</summary>
    public static int AtLeastHalfMs(int attempt, int baseMs, int capMs, RandomSource random)
    {
        var bound = (int)BoundMs(attempt, baseMs, capMs);
        return (bound / 2) + random.Next((bound / 2) + 1);
    }

    private static long BoundMs(int attempt, int baseMs, int capMs) => Math.Min(capMs, (long)baseMs << Math.Min(attempt, 31));
}
