namespace FastLB.Core.Resilience;

/// <summary>
/// Bounds retries to a share of the requests of late, so that a pool that fails is not hit twice as hard for it (Finagle's and
/// Linkerd's retry budget). Each request deposits its share of a retry; a floor of ten retries per second
/// lets a quiet service retry as well. One loop owns it.
/// </summary>
/// <param name="nowMs">The loop's clock.</param>
/// <param name="share">Retries as a share of requests, from 0 to 1.</param>
public sealed class RetryBudget(long nowMs, double share = 0.2) : OwnCacheLines
{
    private const int FloorPerSecond = 10;
    private const long CapMilli = 1_000_000;

    private readonly long _milliPerRequest = (long)(1000 * share);
    private long _balanceMilli = FloorPerSecond * 1000L * 10;
    private long _refilledMs = nowMs;

    /// <summary>First attempts were made.</summary>
    public void Deposit(int requests = 1) => _balanceMilli = Math.Min(CapMilli, _balanceMilli + (_milliPerRequest * requests));

    /// <summary>Takes one retry out of the budget; false when there is none left.</summary>
    public bool TryWithdraw(long nowMs)
    {
        _balanceMilli = Math.Min(CapMilli, _balanceMilli + ((nowMs - _refilledMs) * FloorPerSecond));
        _refilledMs = nowMs;
        if (_balanceMilli < 1000)
        {
            return false;
        }

        _balanceMilli -= 1000;
        return true;
    }
}
