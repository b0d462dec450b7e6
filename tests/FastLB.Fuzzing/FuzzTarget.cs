using FastLB.Core.Loop;

namespace FastLB.Fuzzing;

/// <summary>Something that reads bytes from outside, beside a plain reference that reads the same. One thread at a time uses it.</summary>
internal abstract class FuzzTarget
{
    public abstract string Name { get; }

    /// <summary>Mutation makes no input longer than this, in bytes.</summary>
    public virtual int MaxBytes => 2_000;

    /// <summary>How many inputs were accepted so far, failing ones that were made smaller among them.</summary>
    public long Accepted { get; protected set; }

    /// <summary>Pieces of the grammar, of which mutation puts some where they do not belong.</summary>
    public abstract IReadOnlyList<byte[]> Fragments { get; }

    /// <summary>An input that is mostly right.</summary>
    public abstract byte[] Generate(RandomSource chance);

    /// <summary>
    /// Reads the input in both ways, in one piece and in several. Throws where they disagree. The answer says in which way it was read: an input with a new answer is
    /// kept and mutated further. The same input has always the same answer.
    /// </summary>
    public abstract ulong Run(byte[] input);

    /// <summary>Where the input is cut into pieces: in ascending order, a function of the input alone, so that a failure stays one while it is made smaller.</summary>
    internal static int[] CutsOf(ReadOnlySpan<byte> input)
    {
        var chance = new RandomSource(Signal.Of(input));
        var length = input.Length + 1;
        return chance.Next(4) switch
        {
            0 => [.. Enumerable.Range(0, length)],
            1 => [chance.Next(length)],
            _ => [.. Enumerable.Range(0, 1 + chance.Next(6)).Select(_ => chance.Next(length)).Order()],
        };
    }

    protected static void Agree<T>(T expected, T found, string about)
    {
        if (!EqualityComparer<T>.Default.Equals(expected, found))
        {
            throw new DisagreementException($"{about}: found '{found}' where the reference has '{expected}'");
        }
    }

    protected static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new DisagreementException(otherwise);
        }
    }
}

/// <summary>The product and the reference read an input differently.</summary>
internal sealed class DisagreementException(string message) : Exception(message);

/// <summary>In which way an input was read, as one number.</summary>
internal static class Signal
{
    public static ulong Of(params ReadOnlySpan<long> parts)
    {
        var hash = 0xCBF29CE484222325UL;
        foreach (var part in parts)
        {
            hash = (hash ^ (ulong)part) * 0x100000001B3;
            hash ^= hash >> 29;
        }

        return hash;
    }

    public static ulong Of(ReadOnlySpan<byte> bytes)
    {
        var hash = 0xCBF29CE484222325UL;
        foreach (var value in bytes)
        {
            hash = (hash ^ value) * 0x100000001B3;
        }

        return hash;
    }

    public static ulong Of(string text) => Of(System.Text.Encoding.Latin1.GetBytes(text));

    /// <summary>Places and counts that are about the same are the same.</summary>
    public static long Bucket(long value) => value < 4 ? value : 64 - long.LeadingZeroCount(value);
}
