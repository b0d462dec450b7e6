using FastLB.Core.Loop;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Loop;

public class RandomSourceTests
{
    [Fact]
    public void Numbers_stay_in_their_range() => Prop.ForAll<ulong, int>((seed, wish) =>
    {
        var max = wish is 0 or int.MinValue ? int.MaxValue : Math.Abs(wish);
        var random = new RandomSource(seed);
        for (var i = 0; i < 50; i++)
        {
            Assert.InRange(random.Next(max), 0, max - 1);
            Assert.InRange(random.NextDouble(), 0, 0.99999999999999989);
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Both_ends_of_a_range_and_all_between_are_drawn_about_equally_often()
    {
        var random = new RandomSource(1);
        var counts = new int[7];
        for (var i = 0; i < 70_000; i++)
        {
            counts[random.Next(7)]++;
        }

        Assert.All(counts, c => Assert.InRange(c, 9_500, 10_500));
    }

    [Fact]
    public void The_same_seed_is_the_same_sequence_and_another_one_is_another()
    {
        static ulong[] Draw(ulong seed)
        {
            var random = new RandomSource(seed);
            return [.. Enumerable.Range(0, 100).Select(_ => random.NextUInt64())];
        }

        Assert.Equal(Draw(5), Draw(5));
        Assert.Empty(Draw(5).Intersect(Draw(6)));
    }
}
