using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>
/// Limits each key (a client's address, a token) to a rate with a burst, by the generic cell rate algorithm (ITU-T I.371 annex A; the leaky bucket as a meter,
/// Turner, 1986): all it knows of a key is the time at which its bucket will be empty again. A request moves that time on by the interval between two
/// requests; it is refused, and moves nothing, where that would be more than the burst ahead of now. So over any time t at most burst + t * rate
/// requests are allowed, and none is refused that a bucket of that size would allow. The interval is rounded up, by 1/2000 of itself at most.
/// <para>
/// All loops share it: <see cref="KeyedSlots"/>, one compare-and-swap for an allowed request, none for a refused one.
/// </para>
/// <para>
/// Memory is bounded, so keys are forgotten when the seven slots of their set are taken: first the one whose bucket empties soonest, with which least is lost.
/// A forgotten key begins with its whole burst. What an attacker with many keys gains: a key that is at its limit is forgotten only for seven others
/// in its set that are closer to theirs, so he spends more requests on those than he wins. Keys that make a request each, and there are more of them
/// than slots, push out each other and also honest ones that have used little; none of these is refused meanwhile, nor would it be with endless memory.
/// Who has n keys can make n times the limit, as ever: limit by prefix (an IPv6 /64), not by address, and the total by an <see cref="AtomicLimit"/>.
/// </para>
/// <para>
/// Times are kept modulo 2^44 units (at a million per second 71 minutes, at 100 per second a day and a half). Somebody calls <see cref="Sweep"/>
/// once a minute; without it a key that comes back after just that long may be refused for a burst's time.
/// </para>
/// </summary>
public sealed class RateLimiter
{
    private const int MaxShift = 12;
    private const int MinShift = -20;

    /// <summary>A time up to so many units ahead of now lies in the future, all others in the past. More than the longest burst, because loops' clocks differ.</summary>
    private const ulong FutureUnits = 1UL << 33;

    /// <summary>How long a new key's bucket counts as empty already: more than loops' clocks differ, 32 ms at least.</summary>
    private const ulong FreshUnits = 1UL << 27;

    private readonly KeyedSlots _slots;
    private readonly int _shift;
    private readonly ulong _intervalUnits;
    private readonly ulong _burstUnits;

    public RateLimiter(RateSettings settings)
    {
        settings.Check();
        Settings = settings;
        _slots = new KeyedSlots(settings.Keys);

        // A unit of time is 2^-shift microseconds: the finest in which the whole burst has at most 32 bits and the interval 21, so that 44 hold the time.
        _shift = MaxShift;
        while (_shift > MinShift && (IntervalAt(_shift) >= 1 << 21 || IntervalAt(_shift) * (ulong)settings.Burst >= 1UL << 32))
        {
            _shift--;
        }

        _intervalUnits = IntervalAt(_shift);
        _burstUnits = _intervalUnits * (ulong)settings.Burst;
    }

    public RateSettings Settings { get; }

    /// <summary>Takes one request of the key if there is one. Any thread.</summary>
    /// <param name="key">Well mixed and with a secret seed, for clients choose what it is made of.</param>
    /// <param name="nowUs">Microseconds from any beginning, 0 and above.</param>
    public RateVerdict TryTake(ulong key, long nowUs)
    {
        var now = UnitsOf(nowUs);
        var tag = KeyedSlots.TagOf(key);
        while (true)
        {
            var slot = _slots.Find(key);
            if (slot < 0)
            {
                slot = _slots.FindOrFill(key, new ByTime(now));
            }

            ref var place = ref _slots[slot];
            var word = Volatile.Read(ref place);
            while ((word & ~KeyedSlots.ValueMask) == tag)
            {
                var ahead = AheadOf(word, now);
                if (ahead + _intervalUnits > _burstUnits)
                {
                    return new RateVerdict(false, 0, MicrosecondsOf(ahead + _intervalUnits - _burstUnits), MicrosecondsOf(ahead));
                }

                ahead += _intervalUnits;
                var seen = Interlocked.CompareExchange(ref place, tag | ((now + ahead) & KeyedSlots.ValueMask), word);
                if (seen == word)
                {
                    var remaining = (int)((_burstUnits - ahead) / _intervalUnits);
                    var retry = remaining > 0 ? 0 : MicrosecondsOf(ahead + _intervalUnits - _burstUnits);
                    return new RateVerdict(true, remaining, retry, MicrosecondsOf(ahead));
                }

                word = seen;
            }

            // The key was forgotten between the look at its tag and here.
        }
    }

    /// <summary>Empties the slots of keys that have their whole burst anyway, and tells how many keys remain. Any thread but a loop's: it looks at all slots.</summary>
    public int Sweep(long nowUs)
    {
        var now = UnitsOf(nowUs);
        var kept = 0;
        for (var number = 0; number < _slots.Slots; number++)
        {
            ref var place = ref _slots[_slots.SlotAt(number)];
            var word = Volatile.Read(ref place);
            if (KeyedSlots.IsEmpty(word))
            {
                continue;
            }

            if (AheadOf(word, now) > 0 || Interlocked.CompareExchange(ref place, word & KeyedSlots.ValueMask, word) != word)
            {
                kept++;
            }
        }

        return kept;
    }

    private static ulong AheadOf(ulong word, ulong now)
    {
        var ahead = (word - now) & KeyedSlots.ValueMask;
        return ahead <= FutureUnits ? ahead : 0;
    }

    private ulong IntervalAt(int shift) => (ulong)Math.Ceiling(Math.ScaleB(1_000_000 / Settings.PerSecond, shift));

    /// <summary>Rounded down, to at most a thousandth of the interval.</summary>
    private ulong UnitsOf(long nowUs) => (_shift >= 0 ? (ulong)nowUs << _shift : (ulong)nowUs >> -_shift) & KeyedSlots.ValueMask;

    private long MicrosecondsOf(ulong units) => (long)(_shift >= 0 ? (units + (1UL << _shift) - 1) >> _shift : units << -_shift);

    private readonly struct ByTime(ulong now) : ISlotPolicy
    {
        /// <summary>How far the bucket's end lies ahead, or behind.</summary>
        public long LossOf(ulong word)
        {
            var ahead = (word - now) & KeyedSlots.ValueMask;
            return ahead <= FutureUnits ? (long)ahead : (long)ahead - (1L << KeyedSlots.TagShift);
        }

        /// <summary>Its bucket is empty, also by the clock of a loop that is a little behind.</summary>
        public ulong Fresh(ulong word) => (now - FreshUnits) & KeyedSlots.ValueMask;
    }
}
