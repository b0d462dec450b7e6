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
        var bound = Math.Min(capMs, (long)baseMs << Math.Min(attempt, 31));
        return (int)(random.NextDouble() * (bound + 1));
    }
}
