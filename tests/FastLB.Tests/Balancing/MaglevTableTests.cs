using FastLB.Core.Balancing;

namespace FastLB.Tests.Balancing;

/// <summary>The table's promises: even by weight, little moves, and a slot keeps its keys whoever works in it.</summary>
public sealed class MaglevTableTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(10)]
    [InlineData(100)]
    [InlineData(1_000)]
    public void Everybody_has_the_same_number_of_entries_but_for_one(int count)
    {
        var entries = EntriesOf(new MaglevTable(Workers(count)));
        Assert.InRange(entries.Max() - entries.Min(), 0, 1);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(10)]
    [InlineData(300)]
    public void Entries_are_shared_by_weight(int count)
    {
        var random = new System.Random(count);
        var workers = OneLoop.Workers([.. Enumerable.Range(0, count).Select(_ => random.Next(1, 101))]);
        var table = new MaglevTable(workers);
        var entries = EntriesOf(table);
        Assert.All(workers, w => Assert.InRange(entries[w.Slot] - ((double)table.Size * w.Weight / table.TotalWeight), -2, 2));
    }

    /// <summary>
    /// Besides the keys of the worker that left, which have to move, some of the others move. The paper measures it (figure 12): the more
    /// workers share the entries the more, and for tables of a hundred entries per worker a few in a hundred.
    /// </summary>
    [Theory]
    [InlineData(2, 0)]
    [InlineData(10, 0.02)]
    [InlineData(100, 0.02)]
    [InlineData(1_000, 0.02)]
    public void When_a_worker_leaves_or_comes_little_moves_between_the_others(int count, double most)
    {
        var workers = Workers(count);
        var full = new MaglevTable(workers);
        foreach (var leaving in (int[])[0, count / 2, count - 1])
        {
            var rest = new MaglevTable([.. workers.Where(w => w.Slot != leaving)]);
            var moved = Enumerable.Range(0, full.Size).Count(i => SlotAt(full, i) != leaving && SlotAt(full, i) != SlotAt(rest, i));
            Assert.InRange((double)moved / full.Size, 0, most);
        }
    }

    [Fact]
    public void A_restarted_worker_and_another_order_of_workers_change_nothing()
    {
        var workers = Workers(20);
        var before = new MaglevTable(workers);
        var restarted = workers.Select(w => w.Slot == 7 ? OneLoop.Worker(7, generation: 2) : w).Reverse().ToArray();
        var after = new MaglevTable(restarted);
        Assert.Equal(Enumerable.Range(0, before.Size).Select(i => SlotAt(before, i)), Enumerable.Range(0, after.Size).Select(i => SlotAt(after, i)));
    }

    [Fact]
    public void A_table_without_workers_has_no_entries_and_one_with_some_covers_all_keys()
    {
        Assert.Equal(0, new MaglevTable([]).Size);
        var table = new MaglevTable(Workers(3));
        Assert.Equal((0, table.Size - 1), (table.PositionOf(0), table.PositionOf(ulong.MaxValue)));
        Assert.Equal((1, 0), (table.After(0), table.After(table.Size - 1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MaglevTable(new Worker[65_536]));
    }

    private static Worker[] Workers(int count) => OneLoop.Workers([.. Enumerable.Repeat(1, count)]);

    private static int SlotAt(MaglevTable table, int position) => table.Workers[table.At(position)].Slot;

    private static int[] EntriesOf(MaglevTable table)
    {
        var counts = new int[table.Workers.Length];
        for (var position = 0; position < table.Size; position++)
        {
            counts[table.At(position)]++;
        }

        return counts;
    }
}
