using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>
/// A bulkhead (Nygard, "Release It!", 2007): how many requests or connections a worker or a pool has at once, over all loops, and never more than the limit. The
/// limit and the count are one word, so a place is given by the limit of that very moment. Every request writes the word, and with several
/// loops its cache line travels between cores: only what has a limit should have one of these.
/// <para>A lowered limit takes nothing away: nobody enters until enough have left. Any thread.</para>
/// </summary>
public sealed class AtomicLimit : OwnCacheLines
{
    /// <summary>The limit above and the count below, 32 bits each.</summary>
    private long _word;

    /// <param name="limit">0 and above; with 0 nobody enters.</param>
    public AtomicLimit(int limit) => Limit = limit;

    /// <summary>0 and above. Takes effect for whoever enters next.</summary>
    public int Limit
    {
        get => LimitOf(Volatile.Read(ref _word));
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            var word = Volatile.Read(ref _word);
            while (Change(ref word, ((long)value << 32) | (uint)InUseOf(word)) is false)
            {
            }
        }
    }

    /// <summary>How many entered and did not leave.</summary>
    public int InUse => InUseOf(Volatile.Read(ref _word));

    /// <summary>Takes a place; false when there is none. Whoever got one calls <see cref="Exit"/> once.</summary>
    public bool TryEnter()
    {
        var word = Volatile.Read(ref _word);
        while (InUseOf(word) < LimitOf(word))
        {
            if (Change(ref word, word + 1))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Gives the place back.</summary>
    public void Exit()
    {
        var word = Interlocked.Decrement(ref _word);
        Invariant.That(InUseOf(word) >= 0, "who leaves has entered");
    }

    private static int LimitOf(long word) => (int)(word >> 32);

    private static int InUseOf(long word) => (int)word;

    private bool Change(ref long word, long next)
    {
        var seen = Interlocked.CompareExchange(ref _word, next, word);
        var changed = seen == word;
        word = seen;
        return changed;
    }
}
