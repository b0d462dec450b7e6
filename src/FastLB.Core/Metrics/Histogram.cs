using System.Numerics;

namespace FastLB.Core.Metrics;

/// <summary>
/// How often values of each size occurred, in fixed memory: buckets that are exact below 256 and from there on 128 to each power of
/// two (the log-linear layout of HdrHistogram, Tene, 2012), so that a bucket is never wider than 1/128 of its values. Whoever
/// reads from it is told the highest value of a bucket: at most 0.8 % too much and never too little.
/// <para>
/// One loop records; any thread may take a <see cref="Snapshot"/> meanwhile, which misses at most what is being recorded. What
/// a value means (nanoseconds, bytes) is the owner's business.
/// </para>
/// </summary>
public sealed class Histogram : OwnCacheLines
{
    /// <summary>Values above it count as it: 2^42 - 1, as nanoseconds some 73 minutes.</summary>
    public const long MaxValue = (1L << MaxValueBits) - 1;

    /// <summary>A bucket's width divided by its lowest value is at most this.</summary>
    public const double RelativeError = 1.0 / (1 << PrecisionBits);

    internal const int BucketCount = (MaxValueBits - PrecisionBits + 1) << PrecisionBits;

    private const int PrecisionBits = 7;
    private const int MaxValueBits = 42;

    private readonly long[] _counts = new long[BucketCount];
    private long _sum;
    private long _max;

    /// <summary>Counts a value; a negative one counts as 0. Only the owning loop calls it.</summary>
    public void Record(long value)
    {
        value = Math.Clamp(value, 0, MaxValue);
        _counts[BucketOf(value)]++;
        _sum += value;
        if (value > _max)
        {
            _max = value;
        }
    }

    /// <summary>What has been counted so far. Copies some 37 KB.</summary>
    public HistogramSnapshot Snapshot()
    {
        var counts = new long[BucketCount];
        for (var i = 0; i < counts.Length; i++)
        {
            counts[i] = Volatile.Read(ref _counts[i]);
        }

        return new HistogramSnapshot(counts, Volatile.Read(ref _sum), Volatile.Read(ref _max));
    }

    internal static int BucketOf(long value)
    {
        // The highest bit and the 7 below it; the lowest values have fewer and stand in buckets of their own.
        var shift = Math.Max(0, BitOperations.Log2((ulong)value) - PrecisionBits);
        return (shift << PrecisionBits) + (int)(value >> shift);
    }

    /// <summary>The highest value that counts in a bucket.</summary>
    internal static long HighestOf(int bucket)
    {
        var shift = Math.Max(0, (bucket >> PrecisionBits) - 1);
        var top = bucket - (shift << PrecisionBits);
        return ((top + 1L) << shift) - 1;
    }
}
