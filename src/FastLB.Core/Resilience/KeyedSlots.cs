using System.Runtime.InteropServices;

namespace FastLB.Core.Resilience;

/// <summary>How the owner of a <see cref="KeyedSlots"/> fills and gives up slots. A struct, so that its calls are inlined.</summary>
internal interface ISlotPolicy
{
    /// <summary>How much would be lost with this slot: the one with the least is given up. <see cref="KeyedSlots.InUse"/>: it must stay.</summary>
    long LossOf(ulong word);

    /// <summary>The low 44 bits of a slot for a key that nothing is known about, in place of <paramref name="word"/>.</summary>
    ulong Fresh(ulong word);
}

/// <summary>
/// A word for each of many keys, in bounded memory and shared by all threads without a lock. A key belongs to one set, a cache line of a header and seven
/// slots; a slot holds 20 bits of the key as its tag (0: empty) and 44 bits that belong to the owner, who changes them by compare-and-swap.
/// <para>
/// A key never has two slots, whatever threads do: a slot is filled in two steps. First the header announces it (number, mark, slot, tag) by a compare-and-swap that
/// fails if another was announced since the set was searched. Then anybody who comes along fills the slot, always with a fresh word, unless the mark says that the
/// slot was used since it was chosen: then the announcement is void, and its thread chooses again. The number makes each announcement another word, and
/// an emptied slot keeps its low bits, so that a thread that was held up does not fill a slot that only looks as before.
/// </para>
/// <para>
/// Two keys with the same tag in the same set are one: with seven keys in the set each new one has a chance of 7 in a million. Hash keys with a
/// secret seed, or clients can look for such keys.
/// </para>
/// </summary>
internal sealed class KeyedSlots
{
    public const int Ways = 7;
    public const int TagShift = 44;
    public const ulong ValueMask = (1UL << TagShift) - 1;

    /// <summary>The loss of a slot that must stay.</summary>
    public const long InUse = long.MaxValue;

    private const int SetWords = 8;
    private const int WayShift = 20;
    private const int MarkShift = 23;
    private const int NumberShift = 44;
    private const ulong MarkMask = (1UL << NumberShift) - (1UL << MarkShift);

    private readonly ulong[] _words;
    private readonly int _start;
    private readonly int _sets;

    /// <param name="slots">How many keys at least have room at once, 1 to 2^26.</param>
    public KeyedSlots(int slots)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(slots, 1 << 26);
        _sets = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)((slots + Ways - 1) / Ways));

        // Pinned, so that the first set begins with a cache line and goes on doing so.
        _words = GC.AllocateArray<ulong>((_sets + 1) * SetWords, pinned: true);
        var address = (long)Marshal.UnsafeAddrOfPinnedArrayElement(_words, 0);
        _start = (int)((-address & 63) / sizeof(ulong));
    }

    /// <summary>How many slots there are.</summary>
    public int Slots => _sets * Ways;

    public static ulong TagOf(ulong key) => Math.Max(key >> TagShift, 1) << TagShift;

    public static bool IsEmpty(ulong word) => word <= ValueMask;

    /// <summary>The word of a slot that <see cref="Find"/> or <see cref="FindOrFill"/> named, or of slot 0 to <see cref="Slots"/> - 1 by <see cref="SlotAt"/>.</summary>
    public ref ulong this[int slot] => ref _words[slot];

    public int SlotAt(int number) => _start + (number / Ways * SetWords) + 1 + (number % Ways);

    /// <summary>The key's slot, -1 if it has none. It may be another's by the time the caller looks, who therefore compares the tag in each word that it reads.</summary>
    public int Find(ulong key)
    {
        var tag = TagOf(key);
        var set = SetOf(key);
        var words = _words.AsSpan(set + 1, Ways);
        for (var way = 0; way < words.Length; way++)
        {
            if ((Volatile.Read(ref words[way]) & ~ValueMask) == tag)
            {
                return set + 1 + way;
            }
        }

        return -1;
    }

    /// <summary>The key's slot, made for it if it has none; -1 when all slots of its set must stay.</summary>
    public int FindOrFill<TPolicy>(ulong key, TPolicy policy)
        where TPolicy : struct, ISlotPolicy
    {
        var set = SetOf(key);
        while (true)
        {
            // The header is read before the slots: if it is the same when we announce, nobody announced this key since we looked.
            var header = Volatile.Read(ref _words[set]);
            Settle(set, header, policy);
            var slot = Find(key);
            if (slot >= 0)
            {
                return slot;
            }

            var way = LeastLoss(set, policy, out var word);
            if (way == 0)
            {
                return -1;
            }

            var announced = (((header >> NumberShift) + 1) << NumberShift) | MarkOf(word) | ((ulong)way << WayShift) | (TagOf(key) >> TagShift);
            Interlocked.CompareExchange(ref _words[set], announced, header);
        }
    }

    /// <summary>Fills the slot that was announced last, unless that was done or the slot was used since.</summary>
    private void Settle<TPolicy>(int set, ulong header, TPolicy policy)
        where TPolicy : struct, ISlotPolicy
    {
        var way = (int)(header >> WayShift) & 7;
        if (way == 0)
        {
            return;
        }

        var tag = header << TagShift;
        ref var slot = ref _words[set + way];
        var word = Volatile.Read(ref slot);

        // The mark has 21 bits and may match by chance, so a slot in use is asked for by itself. If the swap fails the slot was used: void.
        if ((word & ~ValueMask) != tag && MarkOf(word) == (header & MarkMask) && policy.LossOf(word) != InUse && Volatile.Read(ref _words[set]) == header)
        {
            Interlocked.CompareExchange(ref slot, tag | policy.Fresh(word), word);
        }
    }

    /// <summary>Which of the set's slots to give up, 1 to 7; 0 when all must stay.</summary>
    private int LeastLoss<TPolicy>(int set, TPolicy policy, out ulong leastWord)
        where TPolicy : struct, ISlotPolicy
    {
        var least = InUse;
        var found = 0;
        leastWord = 0;
        for (var way = 1; way <= Ways; way++)
        {
            var word = Volatile.Read(ref _words[set + way]);
            var loss = IsEmpty(word) ? long.MinValue : policy.LossOf(word);
            if (loss < least)
            {
                least = loss;
                found = way;
                leastWord = word;
            }
        }

        return found;
    }

    private static ulong MarkOf(ulong word) => (word * 0x9E37_79B9_7F4A_7C15) >> 20 & MarkMask;

    private int SetOf(ulong key) => _start + ((int)(key & (uint)(_sets - 1)) * SetWords);
}
