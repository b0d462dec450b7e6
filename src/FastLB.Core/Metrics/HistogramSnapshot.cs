namespace FastLB.Core.Metrics;

/// <summary>What a <see cref="Histogram"/>, or several together, had counted at one moment. Immutable.</summary>
public sealed class HistogramSnapshot
{
    private readonly long[] _counts;

    internal HistogramSnapshot(long[] counts, long sum, long max)
    {
        _counts = counts;
        Count = counts.Sum();
        Sum = sum;
        Max = max;
    }

    /// <summary>How many values there are.</summary>
    public long Count { get; }

    /// <summary>Of all values, exactly; of the same moment as the counts but for what was being recorded.</summary>
    public long Sum { get; }

    /// <summary>The highest value, exactly; 0 when there is none.</summary>
    public long Max { get; }

    /// <summary>The values of all of them together; none at all when there is nothing to merge.</summary>
    public static HistogramSnapshot Merge(IEnumerable<HistogramSnapshot> snapshots)
    {
        var counts = new long[Histogram.BucketCount];
        var sum = 0L;
        var max = 0L;
        foreach (var snapshot in snapshots)
        {
            for (var i = 0; i < counts.Length; i++)
            {
                counts[i] += snapshot._counts[i];
            }

            sum += snapshot.Sum;
            max = Math.Max(max, snapshot.Max);
        }

        return new HistogramSnapshot(counts, sum, max);
    }

    /// <summary>
    /// A value that at least <paramref name="share"/> (0 to 1) of the values do not exceed, and of such values the lowest up to
    /// <see cref="Histogram.RelativeError"/>: the nearest-rank percentile. 0 when there is no value.
    /// </summary>
    public long Percentile(double share)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(share, 0);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(share, 1);
        var rank = Math.Max(1, (long)Math.Ceiling(share * Count));
        var seen = 0L;
        for (var i = 0; i < _counts.Length; i++)
        {
            seen += _counts[i];
            if (seen >= rank)
            {
                return Math.Min(Histogram.HighestOf(i), Max);
            }
        }

        return 0;
    }

    /// <summary>
    /// How many values are at most <paramref name="limit"/>. Values of the bucket that the limit divides are left out, so one that is
    /// up to <see cref="Histogram.RelativeError"/> below the limit may not be counted.
    /// </summary>
    public long CountAtMost(long limit)
    {
        var count = 0L;
        for (var i = 0; i < _counts.Length && Histogram.HighestOf(i) <= limit; i++)
        {
            count += _counts[i];
        }

        return count;
    }
}
