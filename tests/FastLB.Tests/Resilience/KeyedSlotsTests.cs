using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

/// <summary>
/// Real threads seldom meet in the few nanoseconds that matter, so these tests hold one up on purpose: wherever the table asks its owner's policy, which is between
/// its look at a set and its change, other calls run to their end.
/// </summary>
public sealed class KeyedSlotsTests
{
    [Fact]
    public void A_key_that_another_thread_gave_a_slot_while_we_looked_for_one_is_not_given_a_second()
    {
        var slots = new KeyedSlots(KeyedSlots.Ways);
        for (var key = 1UL; key <= KeyedSlots.Ways; key++)
        {
            slots.FindOrFill(Key(key), new Held(new World(_ => 0)));
        }

        // The other thread finds the last slot the cheapest, this one the first.
        var others = -1;
        var world = new World(word => (long)(word >> KeyedSlots.TagShift));
        world.Meanwhile = () =>
        {
            world.Meanwhile = null;
            others = slots.FindOrFill(Key(20), new Held(new World(word => -(long)(word >> KeyedSlots.TagShift))));
        };
        Assert.Equal(slots.FindOrFill(Key(20), new Held(world)), others);
        Assert.Equal((ulong[])[1, 2, 3, 4, 5, 6, 20], TagsOf(slots).Order());
    }

    /// <summary>The look at the set asks for seven losses; the seventh time the choice is as good as made, the eighth it is announced.</summary>
    [Theory]
    [InlineData(7)]
    [InlineData(8)]
    public void A_slot_that_was_used_since_it_was_chosen_is_not_given_up(int momentOfUse)
    {
        var slots = new KeyedSlots(KeyedSlots.Ways);
        for (var key = 1UL; key <= KeyedSlots.Ways; key++)
        {
            slots[slots.FindOrFill(Key(key), new Held(new World(_ => 0)))] = Key(key) | (10 + key);
        }

        var asked = 0;
        var world = new World(word => (long)(word & KeyedSlots.ValueMask));
        world.Meanwhile = () =>
        {
            if (++asked == momentOfUse)
            {
                slots[slots.Find(Key(1))] += 100;
            }
        };
        slots.FindOrFill(Key(20), new Held(world));
        Assert.Equal((ulong[])[1, 3, 4, 5, 6, 7, 20], TagsOf(slots).Order());
    }

    [Fact]
    public void However_threads_are_held_up_no_key_has_two_slots_and_no_slot_in_use_is_lost() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var slots = new KeyedSlots(KeyedSlots.Ways);
        var kept = new HashSet<ulong>();
        var depth = 0;
        void Act()
        {
            depth++;
            var key = 1 + (ulong)chance.Next(10);
            var world = new World(word => kept.Contains(word >> KeyedSlots.TagShift) ? KeyedSlots.InUse : chance.Next(5))
            {
                Meanwhile = () =>
                {
                    if (depth < 5 && chance.Chance(0.15))
                    {
                        Act();
                    }
                },
            };
            switch (chance.Next(6))
            {
                case < 4:
                    Assert.True(slots.FindOrFill(Key(key), new Held(world)) >= 0, "four are kept and seven have room");
                    break;
                case 4 when slots.Find(Key(key)) is >= 0 and var slot:
                    // The owner changes what it counts.
                    slots[slot] = (slots[slot] & ~KeyedSlots.ValueMask) | ((slots[slot] + 1) & KeyedSlots.ValueMask);
                    _ = kept.Count < 4 ? kept.Add(key) : kept.Remove(key);
                    break;
                case 5 when !kept.Contains(key) && slots.Find(Key(key)) is >= 0 and var slot:
                    slots[slot] &= KeyedSlots.ValueMask;
                    break;
                default:
                    break;
            }

            var tags = TagsOf(slots).ToArray();
            Assert.Equal(tags.Distinct().Count(), tags.Length);
            Assert.All(kept, key => Assert.Contains(key, tags));
            depth--;
        }

        for (var i = 0; i < 300; i++)
        {
            Act();
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Sets_begin_with_a_cache_line_and_keys_spread_over_them()
    {
        var slots = new KeyedSlots(700);
        Assert.Equal(128 * KeyedSlots.Ways, slots.Slots);
        var random = new RandomSource(1);
        var found = Enumerable.Range(0, 400).Select(_ => slots.FindOrFill(random.NextUInt64(), new Held(new World(_ => 0)))).ToArray();
        Assert.InRange(found.Distinct().Count(), 380, 400);
        Assert.All(found, slot => Assert.Contains(slot, Enumerable.Range(0, slots.Slots).Select(slots.SlotAt)));
        unsafe
        {
            fixed (ulong* first = &slots[slots.SlotAt(0)])
            {
                Assert.Equal(8, (long)first & 63);
            }
        }
    }

    private static ulong Key(ulong number) => number << KeyedSlots.TagShift;

    private static IEnumerable<ulong> TagsOf(KeyedSlots slots) => Enumerable.Range(0, slots.Slots)
        .Select(number => slots[slots.SlotAt(number)] >> KeyedSlots.TagShift).Where(tag => tag != 0);

    private sealed class World(Func<ulong, long> lossOf)
    {
        public Action? Meanwhile { get; set; }

        public long LossOf(ulong word) => lossOf(word);
    }

    private readonly struct Held(World world) : ISlotPolicy
    {
        public long LossOf(ulong word)
        {
            var loss = world.LossOf(word);
            world.Meanwhile?.Invoke();
            return loss;
        }

        public ulong Fresh(ulong word)
        {
            world.Meanwhile?.Invoke();
            return (word + 1) & KeyedSlots.ValueMask;
        }
    }
}
