namespace FastLB.Core.Balancing;

/// <summary>
/// Loops whose requests wait for a place at a pool's workers, where places are limited over all loops: who gives one back wakes them. A loop says
/// that it waits, then looks once more whether there is a place, then rests; who leaves a place gives it back first and looks for waiters afterwards. Both
/// are ordered by full fences, so no wake is lost. Shared by all loops.
/// </summary>
public sealed class PlaceWaiters(int loops)
{
    private const int Stride = OwnCacheLines.Bytes / sizeof(int);

    // One stride ahead keeps the array's header out of the first loop's line.
    private readonly int[] _waits = new int[(loops + 1) * Stride];
    private readonly Action?[] _wakes = new Action?[loops];

    /// <summary>How loop <paramref name="loop"/> is woken; any thread may do it. Called before requests flow.</summary>
    public void Register(int loop, Action wake) => _wakes[loop] = wake;

    /// <summary>Only loop <paramref name="loop"/> calls it.</summary>
    public void SetWaiting(int loop, bool waits) => Interlocked.Exchange(ref _waits[(loop + 1) * Stride], waits ? 1 : 0);

    /// <summary>Whether a loop other than <paramref name="loop"/> has requests that wait.</summary>
    public bool AnyBesides(int loop)
    {
        for (var other = 0; other < _wakes.Length; other++)
        {
            if (other != loop && Volatile.Read(ref _waits[(other + 1) * Stride]) != 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Wakes all loops but <paramref name="loop"/>, which waits: they may hold places that they do not need.</summary>
    public void WakeBesides(int loop)
    {
        for (var other = 0; other < _wakes.Length; other++)
        {
            if (other != loop)
            {
                _wakes[other]?.Invoke();
            }
        }
    }

    /// <summary>A place was given back: whoever waits may look.</summary>
    public void WakeAll()
    {
        for (var loop = 0; loop < _wakes.Length; loop++)
        {
            if (Volatile.Read(ref _waits[(loop + 1) * Stride]) != 0)
            {
                _wakes[loop]?.Invoke();
            }
        }
    }
}
