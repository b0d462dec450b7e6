using FastLB.Core.Balancing;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Balancing;

/// <summary>A key stays with its worker, and with a bound no worker has more than its share.</summary>
public sealed class ConsistentHashTests
{
    [Fact]
    public void A_key_goes_to_the_same_worker_in_every_loop_and_keys_are_spread_by_weight()
    {
        var workers = OneLoop.Workers(1, 2, 3);
        var table = new MaglevTable(workers);
        var (one, other) = (new OneLoop(1), new OneLoop(2));
        var counts = new int[3];
        for (var i = 0UL; i < 6_000; i++)
        {
            var key = KeyHash.Of(0, i);
            var index = one.PickIndex(new ConsistentHash(1.25), workers, key, table: table);
            Assert.Equal(index, other.PickIndex(new ConsistentHash(double.PositiveInfinity), workers, key, table: table));
            counts[index]++;
        }

        Assert.InRange(counts[0], 850, 1_150);
        Assert.InRange(counts[1], 1_850, 2_150);
    }

    [Fact]
    public void No_worker_exceeds_its_bound_however_keys_and_weights_are_skewed() => Prop.ForAll(Gen.Choose(1, int.MaxValue).ToArbitrary(), seed =>
    {
        var random = new System.Random(seed);
        var workers = OneLoop.Workers([.. Enumerable.Range(0, random.Next(1, 30)).Select(_ => random.Next(1, 21))]);
        var table = new MaglevTable(workers);
        var bound = 1 + (random.Next(4) * 0.25);
        var (loop, strategy) = (new OneLoop(), new ConsistentHash(bound));
        var held = new List<Worker>();
        var keys = random.Next(1, 10);
        for (var i = 0; i < 300; i++)
        {
            if (held.Count > 0 && random.Next(3) == 0)
            {
                held[^1].End(0, failed: false);
                held.RemoveAt(held.Count - 1);
                continue;
            }

            var worker = loop.Pick(strategy, workers, KeyHash.Of(0, (ulong)random.Next(keys)), table: table);
            worker.Begin(0);
            held.Add(worker);
            Assert.InRange(worker.InFlight, 1, (long)Math.Ceiling(bound * held.Count * worker.Weight / table.TotalWeight));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Without_bound_one_key_may_fill_its_worker()
    {
        var workers = OneLoop.Workers(1, 1, 1, 1);
        var table = new MaglevTable(workers);
        for (var i = 0; i < 100; i++)
        {
            new OneLoop().Pick(new StrategyPlan("source-address").Create(), workers, 42, table: table).Begin(0);
        }

        Assert.Equal(100, workers.Max(w => w.InFlight));
    }

    [Fact]
    public void A_key_beyond_the_bound_goes_to_the_tables_next_worker_and_back_when_there_is_room()
    {
        var workers = OneLoop.Workers(1, 1, 1, 1);
        var table = new MaglevTable(workers);
        var (loop, strategy) = (new OneLoop(), new ConsistentHash(1.25));
        var own = loop.PickIndex(strategy, workers, 42, table: table);
        var position = table.PositionOf(42);
        while (table.At(position) == own)
        {
            position = table.After(position);
        }

        workers[own].Begin(0);
        Assert.Equal(table.At(position), loop.PickIndex(strategy, workers, 42, table: table));
        workers[own].End(0, failed: false);
        Assert.Equal(own, loop.PickIndex(strategy, workers, 42, table: table));
    }

    [Fact]
    public void When_a_worker_is_out_only_its_keys_move()
    {
        var workers = OneLoop.Workers([.. Enumerable.Repeat(1, 8)]);
        var table = new MaglevTable(workers);
        var (loop, strategy) = (new OneLoop(), new ConsistentHash(double.PositiveInfinity));
        Worker[] rest = [.. workers.Where(w => w.Slot != 3)];
        var others = new HashSet<int>();
        for (var i = 0UL; i < 1_000; i++)
        {
            var key = KeyHash.Of(0, i);
            var before = loop.Pick(strategy, workers, key, table: table);
            var after = loop.Pick(strategy, rest, key, table: table);
            Assert.True(ReferenceEquals(before, after) || before.Slot == 3);
            if (before.Slot == 3)
            {
                others.Add(after.Slot);
            }
        }

        Assert.Equal(7, others.Count);
        Assert.Equal(0, loop.PickIndex(strategy, workers.AsSpan(5, 1), 42, table: table));
    }

    [Fact]
    public void The_bound_holds_among_some_of_the_workers_as_well()
    {
        var workers = OneLoop.Workers([.. Enumerable.Repeat(1, 8)]);
        var table = new MaglevTable(workers);
        var (loop, strategy) = (new OneLoop(), new ConsistentHash(1));
        Worker[] rest = [.. workers.Where(w => w.Slot % 2 == 0)];
        for (var i = 0; i < 40; i++)
        {
            loop.Pick(strategy, rest, 42, table: table).Begin(0);
        }

        Assert.All(rest, w => Assert.Equal(10, w.InFlight));
    }
}
