using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>A client's place in a <see cref="ConcurrencyPerClient"/>. Its owner gives it back exactly once. The default value is refused.</summary>
public readonly record struct ClientPlace
{
    /// <summary>0: refused, -1: allowed without being counted, above: the slot.</summary>
    private readonly int _slot;

    private ClientPlace(int slot) => _slot = slot;

    public static ClientPlace Refused => default;

    public static ClientPlace Uncounted => new(-1);

    public bool IsRefused => _slot == 0;

    public bool IsCounted => _slot > 0;

    internal int Slot => _slot;

    internal static ClientPlace In(int slot) => new(slot);
}

/// <summary>
/// How many connections or requests each client has at once, at most so many. All loops share it: <see cref="KeyedSlots"/>, one compare-and-swap to enter and one to leave.
/// A slot that counts something is never given up, and its place names it, so that leaving is exact and needs no search.
/// <para>
/// Memory is bounded. When the seven slots of a client's set all count others, it is let in uncounted: an attacker with thousands of addresses could otherwise keep out
/// the clients of his choice, while a limit per client was never one against him; <see cref="AtomicLimit"/> limits the total. With four times as many slots as
/// clients are connected one in 450 meets such a set, with twice as many one in 15.
/// </para>
/// </summary>
public sealed class ConcurrencyPerClient
{
    /// <summary>The most that the limit may be: 2^20 - 1.</summary>
    public const int MaxLimit = CountMask;

    // Of a slot's 44 bits the lower 20 count and the upper 24 tell apart its occupants.
    private const int CountBits = 20;
    private const int CountMask = (1 << CountBits) - 1;

    private readonly KeyedSlots _slots;
    private int _limit;

    /// <param name="limit">For each client, 1 to <see cref="MaxLimit"/>.</param>
    /// <param name="slots">Clients that can be counted at once, 1 to 2^26; 9 bytes each.</param>
    public ConcurrencyPerClient(int limit, int slots)
    {
        Limit = limit;
        _slots = new KeyedSlots(slots);
    }

    /// <summary>Takes effect for whoever enters next; a lowered one takes nothing away.</summary>
    public int Limit
    {
        get => Volatile.Read(ref _limit);
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MaxLimit);
            Volatile.Write(ref _limit, value);
        }
    }

    /// <summary>A client comes with one more. What is not refused leaves by <see cref="Exit"/>. Any thread.</summary>
    /// <param name="key">Well mixed and with a secret seed, for clients choose what it is made of.</param>
    public ClientPlace TryEnter(ulong key)
    {
        var tag = KeyedSlots.TagOf(key);
        while (true)
        {
            var slot = _slots.Find(key);
            if (slot < 0)
            {
                slot = _slots.FindOrFill(key, default(UnlessCounting));
                if (slot < 0)
                {
                    return ClientPlace.Uncounted;
                }
            }

            ref var place = ref _slots[slot];
            var word = Volatile.Read(ref place);
            while ((word & ~KeyedSlots.ValueMask) == tag)
            {
                if (CountOf(word) >= Limit)
                {
                    return ClientPlace.Refused;
                }

                var seen = Interlocked.CompareExchange(ref place, word + 1, word);
                if (seen == word)
                {
                    return ClientPlace.In(slot);
                }

                word = seen;
            }

            // The slot was given to another client between the look at its tag and here: nothing was counted in it.
        }
    }

    /// <summary>One of the client's ended. Any thread.</summary>
    public void Exit(ClientPlace place)
    {
        if (!place.IsCounted)
        {
            return;
        }

        ref var slot = ref _slots[place.Slot];
        var word = Volatile.Read(ref slot);
        while (true)
        {
            Invariant.That(CountOf(word) > 0, "who leaves has entered");
            var left = CountOf(word) > 1 ? word - 1 : (word - 1) & KeyedSlots.ValueMask;
            var seen = Interlocked.CompareExchange(ref slot, left, word);
            if (seen == word)
            {
                return;
            }

            word = seen;
        }
    }

    /// <summary>How many a client has, as far as they are counted. Any thread.</summary>
    public int CountOfClient(ulong key)
    {
        var slot = _slots.Find(key);
        var word = slot < 0 ? 0 : Volatile.Read(ref _slots[slot]);
        return (word & ~KeyedSlots.ValueMask) == KeyedSlots.TagOf(key) ? CountOf(word) : 0;
    }

    /// <summary>Clients that have something counted. Looks at all slots; any thread but a loop's.</summary>
    public int Clients
    {
        get
        {
            var clients = 0;
            for (var number = 0; number < _slots.Slots; number++)
            {
                clients += CountOf(Volatile.Read(ref _slots[_slots.SlotAt(number)])) > 0 ? 1 : 0;
            }

            return clients;
        }
    }

    private static int CountOf(ulong word) => (int)(word & CountMask);

    private readonly struct UnlessCounting : ISlotPolicy
    {
        public long LossOf(ulong word) => CountOf(word) > 0 ? KeyedSlots.InUse : 0;

        /// <summary>Nothing counted, and another occupant than any of the last 16 million.</summary>
        public ulong Fresh(ulong word) => ((word & KeyedSlots.ValueMask & ~(ulong)CountMask) + CountMask + 1) & KeyedSlots.ValueMask;
    }
}
