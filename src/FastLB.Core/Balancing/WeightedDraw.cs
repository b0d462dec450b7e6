namespace FastLB.Core.Balancing;

/// <summary>
/// Draws workers at random in proportion to their weights, as these are at the moment, by rejection: one drawn evenly is taken with a chance of its weight
/// over the greatest. So a draw takes the same time among any number of workers and keeps nothing of them that a change of the set or of a
/// weight would make wrong. A loop's own; a field of a strategy, never copied.
/// </summary>
internal struct WeightedDraw
{
    /// <summary>After so many rejections the weights are added up instead, so that a draw ends however unequal they are.</summary>
    private const int MostRejections = 32;

    private const int LookEveryMs = 1_000;

    // May be too great for a while, which costs rejections; one that is too small is put right when its worker is drawn.
    private int _greatest;
    private long _nextLookMs;

    /// <summary>An index into <paramref name="workers"/>, which is not empty.</summary>
    /// <param name="choice">Gives the time and the chance.</param>
    public int Next(ReadOnlySpan<Worker> workers, in Choice choice) => Draw(workers, workers.Length, choice);

    /// <summary>The same, but not <paramref name="other"/>; there are two workers at least.</summary>
    public int NextBut(int other, ReadOnlySpan<Worker> workers, in Choice choice) => Draw(workers, other, choice);

    /// <param name="excluded">An index that is not drawn, or the number of workers.</param>
    private int Draw(ReadOnlySpan<Worker> workers, int excluded, in Choice choice)
    {
        if (choice.NowMs >= _nextLookMs)
        {
            Look(workers, choice.NowMs);
        }

        var random = choice.Random;
        var count = excluded < workers.Length ? workers.Length - 1 : workers.Length;
        for (var rejections = 0; rejections < MostRejections; rejections++)
        {
            var index = random.Next(count);
            index += index >= excluded ? 1 : 0;
            var weight = workers[index].Weight;
            if (weight >= _greatest)
            {
                _greatest = weight;
                return index;
            }

            if (random.Next(_greatest) < weight)
            {
                return index;
            }
        }

        return DrawFromTheSum(workers, excluded, random.NextUInt64());
    }

    private void Look(ReadOnlySpan<Worker> workers, long nowMs)
    {
        _nextLookMs = nowMs + LookEveryMs;
        _greatest = 1;
        foreach (var worker in workers)
        {
            _greatest = Math.Max(_greatest, worker.Weight);
        }
    }

    private static int DrawFromTheSum(ReadOnlySpan<Worker> workers, int excluded, ulong chance)
    {
        var total = 0L;
        for (var i = 0; i < workers.Length; i++)
        {
            total += i == excluded ? 0 : workers[i].Weight;
        }

        var left = (long)Math.BigMul(chance, (ulong)total, out _);
        var drawn = -1;
        for (var i = 0; i < workers.Length && left >= 0; i++)
        {
            if (i != excluded)
            {
                drawn = i;
                left -= workers[i].Weight;
            }
        }

        // When weights changed in between, the last one stands for what was missing.
        return drawn;
    }
}
