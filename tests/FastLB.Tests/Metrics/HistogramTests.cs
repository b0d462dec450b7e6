using FastLB.Core.Metrics;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Metrics;

/// <summary>A histogram says what a sorted list of the same values says, but for its documented error.</summary>
public sealed class HistogramTests
{
    private static readonly double[] s_shares = [0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1];

    /// <summary>Values of every magnitude: as many bits as chance gives, then chance in each bit.</summary>
    private static Arbitrary<long[]> Values { get; } =
        Gen.Choose(0, 43).SelectMany(bits => Gen.Choose(0, int.MaxValue).Two().Select(two => (((long)two.Item1 << 31) | (uint)two.Item2) & ((1L << bits) - 1)))
            .NonEmptyListOf().Select(values => values.ToArray()).ToArbitrary();

    [Fact]
    public void Percentiles_are_those_of_the_sorted_values_or_up_to_one_in_128_more() => Prop.ForAll(Values, values =>
    {
        var sorted = values.Select(value => Math.Min(value, Histogram.MaxValue)).Order().ToArray();
        var snapshot = Recorded(values).Snapshot();
        foreach (var share in s_shares)
        {
            var exact = sorted[Math.Max(1, (int)Math.Ceiling(share * sorted.Length)) - 1];
            var told = snapshot.Percentile(share);
            Assert.True(told >= exact && told - exact <= exact * Histogram.RelativeError, $"{share:P1} of {sorted.Length}: {told} for {exact}");
        }

        Assert.Equal(sorted.Length, snapshot.Count);
        Assert.Equal(sorted.Sum(), snapshot.Sum);
        Assert.Equal(sorted[^1], snapshot.Max);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Merged_histograms_are_one_that_recorded_everything() => Prop.ForAll(Values, Values, (one, other) =>
    {
        var merged = HistogramSnapshot.Merge([Recorded(one).Snapshot(), Recorded(other).Snapshot()]);
        var together = Recorded([.. one, .. other]).Snapshot();
        Assert.Equal((together.Count, together.Sum, together.Max), (merged.Count, merged.Sum, merged.Max));
        Assert.All(s_shares, share => Assert.Equal(together.Percentile(share), merged.Percentile(share)));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_count_up_to_a_limit_leaves_out_only_values_close_below_it() => Prop.ForAll(Values, Values, (values, limits) =>
    {
        var snapshot = Recorded(values).Snapshot();
        foreach (var limit in limits)
        {
            var told = snapshot.CountAtMost(limit);
            var clearlyBelow = values.Count(value => value < limit * (1 - Histogram.RelativeError));
            Assert.InRange(told, clearlyBelow, values.Count(value => Math.Min(value, Histogram.MaxValue) <= limit));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Buckets_follow_each_other_without_gap_or_overlap()
    {
        for (var bucket = 0; bucket < Histogram.BucketCount; bucket++)
        {
            var highest = Histogram.HighestOf(bucket);
            Assert.Equal(bucket, Histogram.BucketOf(highest));
            if (highest < Histogram.MaxValue)
            {
                Assert.Equal(bucket + 1, Histogram.BucketOf(highest + 1));
            }
        }

        Assert.Equal(Histogram.MaxValue, Histogram.HighestOf(Histogram.BucketCount - 1));
    }

    [Fact]
    public void Nothing_recorded_is_told_as_nothing()
    {
        foreach (var nothing in new[] { new Histogram().Snapshot(), HistogramSnapshot.Merge([]) })
        {
            Assert.Equal((0, 0, 0, 0, 0), (nothing.Count, nothing.Sum, nothing.Max, nothing.Percentile(0.5), nothing.CountAtMost(long.MaxValue)));
        }
    }

    [Fact]
    public void Values_out_of_range_count_as_the_nearest_one_in_it()
    {
        var snapshot = Recorded([-1, long.MinValue, long.MaxValue]).Snapshot();
        Assert.Equal((0, Histogram.MaxValue, Histogram.MaxValue), (snapshot.Percentile(0.6), snapshot.Percentile(1), snapshot.Max));
    }

    [Fact]
    public void A_snapshot_that_is_taken_while_values_are_recorded_grows_and_at_the_end_has_them_all()
    {
        const int values = 300_000;
        var histogram = new Histogram();
        var writer = new Thread(() =>
        {
            for (var i = 0; i < values; i++)
            {
                histogram.Record(i);
            }
        });
        writer.Start();
        for (var seen = 0L; seen < values;)
        {
            var now = histogram.Snapshot().Count;
            Assert.InRange(now, seen, values);
            seen = now;
        }

        writer.Join();
    }

    private static Histogram Recorded(IEnumerable<long> values)
    {
        var histogram = new Histogram();
        foreach (var value in values)
        {
            histogram.Record(value);
        }

        return histogram;
    }
}
