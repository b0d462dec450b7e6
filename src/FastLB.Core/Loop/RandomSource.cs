using System.Numerics;

namespace FastLB.Core.Loop;

/// <summary>
/// A loop's random numbers: xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. Fast and reproducible from
/// its seed, and therefore not for secrets. One thread owns it.
/// </summary>
public sealed class RandomSource : OwnCacheLines
{
    private ulong _s0;
    private ulong _s1;
    private ulong _s2;
    private ulong _s3;

    public RandomSource(ulong seed)
    {
        _s0 = SplitMix(ref seed);
        _s1 = SplitMix(ref seed);
        _s2 = SplitMix(ref seed);
        _s3 = SplitMix(ref seed);
    }

    public ulong NextUInt64()
    {
        var result = BitOperations.RotateLeft(_s1 * 5, 7) * 9;
        var t = _s1 << 17;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= t;
        _s3 = BitOperations.RotateLeft(_s3, 45);
        return result;
    }

    /// <summary>A number from 0 to <paramref name="exclusiveMax"/> - 1, without the bias of a modulo (Lemire, 2019).</summary>
    public int Next(int exclusiveMax)
    {
        Invariant.That(exclusiveMax > 0, "a random range is not empty");
        return (int)(((NextUInt64() >> 32) * (ulong)exclusiveMax) >> 32);
    }

    /// <summary>A number in [0, 1).</summary>
    public double NextDouble() => (NextUInt64() >> 11) * (1.0 / (1UL << 53));

    /// <summary>True with a chance of <paramref name="share"/>.</summary>
    public bool Chance(double share) => NextDouble() < share;

    private static ulong SplitMix(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        var z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
