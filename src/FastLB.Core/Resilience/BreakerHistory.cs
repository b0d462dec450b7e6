namespace FastLB.Core.Resilience;

/// <summary>
/// A breaker's last 64 transitions, written without a lock by whoever made them and read by one thread. A slot is one word, so nobody
/// reads half a transition; its place is its number, so they are read in their order.
/// </summary>
internal sealed class BreakerHistory
{
    public const int Capacity = 64;

    private const int StateBits = 3;
    private const int CauseBits = 3;
    private const int PeriodBits = 10;

    private readonly long[] _slots = new long[Capacity];
    private int _read;

    /// <summary>The thread whose compare-and-swap made the transition calls it, exactly once.</summary>
    public void Add(BreakerState from, in BreakerWord to, BreakerCause cause, long nowMs)
    {
        var packed = (long)from | ((long)to.State << StateBits) | ((long)cause << (2 * StateBits)) | ((long)to.Period << ((2 * StateBits) + CauseBits))
            | ((nowMs & BreakerWord.TimeMask) << ((2 * StateBits) + CauseBits + PeriodBits));
        ref var slot = ref _slots[to.Period % Capacity];
        var before = Volatile.Read(ref slot);
        while (before == 0 || IsBefore(PeriodOf(before), to.Period))
        {
            var seen = Interlocked.CompareExchange(ref slot, packed, before);
            if (seen == before)
            {
                return;
            }

            before = seen;
        }

        // A later transition took the place while this thread was held up: the reader misses this one and says so.
    }

    /// <summary>The oldest that was not read yet, if it is written already. Only one thread reads.</summary>
    /// <param name="lastPeriod">The number of the breaker's last transition, modulo 1024.</param>
    /// <param name="missed">Grows by the transitions that were overwritten before they were read: after 64 without a look.</param>
    public bool TryRead(int lastPeriod, long nowMs, out BreakerTransition transition, ref long missed)
    {
        while (_read != lastPeriod)
        {
            var number = (_read + 1) % BreakerWord.Periods;
            var packed = Volatile.Read(ref _slots[number % Capacity]);
            if (packed != 0 && PeriodOf(packed) == number)
            {
                _read = number;
                var time = (packed >> ((2 * StateBits) + CauseBits + PeriodBits)) & BreakerWord.TimeMask;

                // The moment nearest to now that ends in these bits.
                var ago = (nowMs - time) & BreakerWord.TimeMask;
                ago = ago < 1L << (BreakerWord.TimeBits - 1) ? ago : ago - (1L << BreakerWord.TimeBits);
                transition = new BreakerTransition(
                    number, (BreakerState)(packed & 7), (BreakerState)((packed >> StateBits) & 7), (BreakerCause)((packed >> (2 * StateBits)) & 7), nowMs - ago);
                return true;
            }

            if (packed == 0 || IsBefore(PeriodOf(packed), number))
            {
                // It happened, but its thread has not written it down yet.
                break;
            }

            missed++;
            _read = number;
        }

        transition = default;
        return false;
    }

    private static int PeriodOf(long packed) => (int)(packed >> ((2 * StateBits) + CauseBits)) & (BreakerWord.Periods - 1);

    private static bool IsBefore(int period, int other) =>
        period != other && ((other - period) & (BreakerWord.Periods - 1)) < BreakerWord.Periods / 2;
}
