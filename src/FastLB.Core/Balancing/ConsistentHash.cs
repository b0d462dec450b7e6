using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>
/// Each key to the worker that the pool's <see cref="MaglevTable"/> names, whatever the loop. With a bound a worker takes a key only while it has fewer in flight than
/// that many times its share of what the pool has (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016);
/// the others go where the table's next entries say, the same ones for the same key.
/// <para>
/// The bound holds for what the loop sees when it chooses: loops that choose within the same millisecond do not see each other.
/// </para>
/// </summary>
/// <param name="loadBound">At least 1; <see cref="double.PositiveInfinity"/>: without bound.</param>
public sealed class ConsistentHash(double loadBound) : Strategy
{
    /// <summary>So many entries are tried; by then the pool is nearly everywhere at its bound, and the least loaded worker is as good as any.</summary>
    private const int MostTries = 64;

    public override int Pick(in Choice choice)
    {
        var table = choice.Table;
        Invariant.That(table is not null, "a strategy that asks for the table gets it");
        if (choice.Workers != (ReadOnlySpan<Worker>)table.Workers)
        {
            return PickAmongSome(choice, table);
        }

        var position = table.PositionOf(choice.Key);
        var index = table.At(position);
        if (double.IsPositiveInfinity(loadBound))
        {
            return index;
        }

        // Compared as products of whole numbers, so that with a bound of 1 no rounding closes the last place.
        var room = loadBound * (choice.PoolInFlight + 1);
        for (var tries = 0; tries < MostTries; tries++)
        {
            var inFlight = choice.Workers[index].InFlightSeenBy(choice.Loop, choice.NowMs);
            if ((double)inFlight * table.TotalWeight < room * table.WeightOf(index))
            {
                return index;
            }

            position = table.After(position);
            index = table.At(position);
        }

        return LeastLoaded(choice);
    }

    /// <summary>The choice is among some of the table's workers only, because others are out. Rare, so nothing is prepared for it.</summary>
    private int PickAmongSome(in Choice choice, MaglevTable table)
    {
        long inFlight = 0, totalWeight = 0;
        foreach (var worker in choice.Workers)
        {
            inFlight += worker.InFlightSeenBy(choice.Loop, choice.NowMs);
            totalWeight += worker.Weight;
        }

        var room = loadBound * (inFlight + 1);
        var position = table.PositionOf(choice.Key);
        for (var tries = 16 * table.Workers.Length; tries > 0; tries--)
        {
            var index = IndexOf(table.Workers[table.At(position)], choice.Workers);
            if (index >= 0 && (double)choice.Workers[index].InFlightSeenBy(choice.Loop, choice.NowMs) * totalWeight < room * choice.Workers[index].Weight)
            {
                return index;
            }

            position = table.After(position);
        }

        // Without a bound it is the key that decides, here too.
        return double.IsPositiveInfinity(loadBound) ? (int)Math.BigMul(choice.Key, (ulong)choice.Workers.Length, out _) : LeastLoaded(choice);
    }

    private static int IndexOf(Worker worker, ReadOnlySpan<Worker> workers)
    {
        for (var i = 0; i < workers.Length; i++)
        {
            if (ReferenceEquals(workers[i], worker))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>By weight. It is below the bound if anyone is.</summary>
    private static int LeastLoaded(in Choice choice)
    {
        var best = 0;
        for (var i = 1; i < choice.Workers.Length; i++)
        {
            var (worker, least) = (choice.Workers[i], choice.Workers[best]);
            if (worker.InFlightSeenBy(choice.Loop, choice.NowMs) * least.Weight < least.InFlightSeenBy(choice.Loop, choice.NowMs) * worker.Weight)
            {
                best = i;
            }
        }

        return best;
    }
}
