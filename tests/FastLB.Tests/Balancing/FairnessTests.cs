using FastLB.Core.Balancing;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Balancing;

/// <summary>Every strategy is fair to the weights, whatever they are: when requests come one by one, and when they pile up.</summary>
public sealed class FairnessTests
{
    public static TheoryData<string> Drawing => ["random", "two-choices", "least-connections", "response-time", "zone", "auto"];

    public static TheoryData<string> Levelling => ["two-choices", "least-connections", "response-time"];

    [Theory]
    [MemberData(nameof(Drawing))]
    public void Idle_workers_are_chosen_as_often_as_their_weights_say(string name) => Holds(seed =>
    {
        var weights = WeightsOf(seed, most: 10);
        var workers = OneLoop.Workers(weights);
        var counts = new OneLoop((ulong)seed).CountIdle(new StrategyPlan(name).Create(), workers, 5_000);
        double total = weights.Sum();

        // Of two the first drawn is taken, so each choice is a draw by weight: a binomial count, here within six times its deviation.
        for (var i = 0; i < weights.Length; i++)
        {
            var share = weights[i] / total;
            Assert.InRange(counts[i], (5_000 * share) - Six(share) - 1, (5_000 * share) + Six(share) + 1);
        }

        static double Six(double share) => 6 * Math.Sqrt(5_000 * share * (1 - share));
    });

    [Theory]
    [MemberData(nameof(Levelling))]
    public void Requests_that_stay_are_level_by_weight(string name) => Holds(seed =>
    {
        var workers = OneLoop.Workers(WeightsOf(seed, most: 4));
        foreach (var worker in workers)
        {
            worker.NoteAnswer(0, 1_000, 5_000_000, isServerError: false);
        }

        var loop = new OneLoop((ulong)seed);
        var total = workers.Sum(w => w.Weight);
        loop.Hold(new StrategyPlan(name).Create(), workers, 20 * total);

        // The exact one is within a request of its share; two choices are within some (log log n for equal weights).
        var allowed = name == "least-connections" ? 1 : 8;
        Assert.All(workers, w => Assert.InRange(w.InFlight, (20 * w.Weight) - allowed, (20 * w.Weight) + allowed));
    });

    [Fact]
    public void Weighted_round_robin_is_exact_in_every_round_and_smooth_within() => Holds(seed =>
    {
        var weights = WeightsOf(seed, most: 12);
        var workers = OneLoop.Workers(weights);
        var total = weights.Sum();
        var strategy = new WeightedRoundRobin();
        var loop = new OneLoop((ulong)seed);
        for (var round = 0; round < 3; round++)
        {
            var counts = new int[weights.Length];
            for (var step = 1; step <= total; step++)
            {
                counts[loop.PickIndex(strategy, workers)]++;
                for (var i = 0; i < counts.Length; i++)
                {
                    Assert.InRange(counts[i], ((double)step * weights[i] / total) - 2, ((double)step * weights[i] / total) + 2);
                }
            }

            Assert.Equal(weights, counts);
        }
    });

    [Fact]
    public void Weighted_round_robin_stays_fair_while_workers_come_and_go_and_weights_change() => Holds(seed =>
    {
        var random = new System.Random(seed);
        var all = OneLoop.Workers(WeightsOf(seed, most: 10));
        var strategy = new WeightedRoundRobin();
        var loop = new OneLoop((ulong)seed);
        for (var change = 0; change < 20; change++)
        {
            loop.CountIdle(strategy, [.. all.Where(_ => random.Next(3) > 0).DefaultIfEmpty(all[0])], random.Next(50));
            all[random.Next(all.Length)].Weight = random.Next(1, 21);
            if (random.Next(3) == 0)
            {
                var slot = random.Next(all.Length);
                all[slot] = OneLoop.Worker(slot, random.Next(1, 21), generation: change + 2);
            }
        }

        // What the disturbances have left is a turn of at most a few rounds per worker; in the long run it is nothing.
        var total = all.Sum(w => w.Weight);
        var counts = loop.CountIdle(strategy, all, 100 * total);
        Assert.All(counts.Zip(all), c => Assert.InRange(c.First, (100 * c.Second.Weight) - 12, (100 * c.Second.Weight) + 12));
    });

    [Fact]
    public void A_weight_that_became_small_is_not_paid_for_with_turns_of_the_old_size()
    {
        var workers = OneLoop.Workers(1_000_000, 1_000_000, 999_999);
        var strategy = new WeightedRoundRobin();
        var loop = new OneLoop();
        loop.CountIdle(strategy, workers, 7);
        foreach (var worker in workers)
        {
            worker.Weight = 1;
        }

        loop.CountIdle(strategy, workers, 1);
        var counts = loop.CountIdle(strategy, workers, 300);
        Assert.All(counts, c => Assert.InRange(c, 75, 125));
    }

    [Fact]
    public void Weighted_round_robin_of_two_loops_does_not_march_in_step()
    {
        var starts = Enumerable.Range(1, 50).Select(seed => new OneLoop((ulong)seed).PickIndex(new WeightedRoundRobin(), OneLoop.Workers(1, 1, 1, 1, 1))).Distinct();
        Assert.Equal(5, starts.Count());
    }

    [Fact]
    public void The_greatest_weights_there_are_overflow_nothing()
    {
        foreach (var name in Strategies.Names.Where(n => n is not "consistent-hash" and not "source-address"))
        {
            var workers = OneLoop.Workers(int.MaxValue, int.MaxValue, 1);
            var strategy = new StrategyPlan(name).Create();
            var counts = new OneLoop().CountIdle(strategy, workers, 1_000);
            Assert.True(name is "round-robin" || counts[2] < 10, $"{name} gave the light worker {counts[2]}");
            Assert.True(name.StartsWith("first", StringComparison.Ordinal) || (counts[0] > 300 && counts[1] > 300), $"{name}: {string.Join(' ', counts)}");
        }
    }

    [Fact]
    public void A_weight_that_grows_counts_at_once_and_one_that_shrinks_too()
    {
        var workers = OneLoop.Workers(1, 1);
        var (loop, strategy) = (new OneLoop(), new RandomChoice());
        Assert.InRange(loop.CountIdle(strategy, workers, 10_000)[0], 4_700, 5_300);
        workers[0].Weight = 9;
        Assert.InRange(loop.CountIdle(strategy, workers, 10_000)[0], 8_800, 9_200);
        workers[0].Weight = 1;
        Assert.InRange(loop.CountIdle(strategy, workers, 10_000)[0], 4_700, 5_300);
    }

    [Fact]
    public void A_heavy_worker_among_many_light_ones_is_drawn_by_its_weight()
    {
        // A hundred rejections to a draw: the sum decides.
        var workers = OneLoop.Workers([10_000, .. Enumerable.Repeat(1, 9_999)]);
        var counts = new OneLoop().CountIdle(new RandomChoice(), workers, 2_000);
        Assert.InRange(counts[0], 850, 1_150);
    }

    private static int[] WeightsOf(int seed, int most)
    {
        var random = new System.Random(seed);
        return [.. Enumerable.Range(0, random.Next(1, most + 1)).Select(_ => random.Next(1, 21))];
    }

    private static void Holds(Action<int> property) =>
        Prop.ForAll(Gen.Choose(1, int.MaxValue).ToArbitrary(), property).QuickCheckThrowOnFailure();
}
