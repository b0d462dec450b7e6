using System.Text;

namespace FastLB.Core.Balancing;

/// <summary>
/// Where keys go (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4). Each worker has its own order of
/// all entries, made from its slot's name, and takes in turn the first free one of it, so all have the same number of entries and a worker that comes
/// or goes moves little but its own. A restarted worker stands in the same slot and keeps its keys. Immutable; built when
/// a pool's workers change, by who publishes them, in some milliseconds.
/// </summary>
public sealed class MaglevTable
{
    /// <summary>
    /// A prime, as the orders need it; the one of the paper. Not fewer for small pools: the worker that made a pool large would move all keys.
    /// With 128 KB a table stays in a core's second cache.
    /// </summary>
    private const int Entries = 65_537;

    private const ushort Free = ushort.MaxValue;

    private readonly ushort[] _entries;
    private readonly int[] _weights;

    /// <exception cref="ArgumentOutOfRangeException">There are more workers than an entry can number (65,535).</exception>
    public MaglevTable(Worker[] workers)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(workers.Length, Entries - 1);
        Workers = workers;
        _weights = [.. workers.Select(w => w.Weight)];
        TotalWeight = _weights.Sum(w => (long)w);
        _entries = workers.Length == 0 ? [] : Fill();
    }

    /// <summary>What the table's entries number.</summary>
    public Worker[] Workers { get; }

    /// <summary>How many entries it has; 0 without workers.</summary>
    public int Size => _entries.Length;

    /// <summary>The weights' sum, from when the table was built.</summary>
    public long TotalWeight { get; }

    /// <summary>The entry of a key.</summary>
    public int PositionOf(ulong key) => (int)Math.BigMul(key, (ulong)_entries.Length, out _);

    /// <summary>The number in <see cref="Workers"/> that an entry holds.</summary>
    public int At(int position) => _entries[position];

    /// <summary>The entry to go on with when an entry's worker cannot take the key. Whose it is, is as good as random; it may be the same worker's.</summary>
    public int After(int position) => position + 1 == _entries.Length ? 0 : position + 1;

    /// <summary>A worker's weight by its number, from when the table was built.</summary>
    public int WeightOf(int number) => _weights[number];

    private ushort[] Fill()
    {
        var entries = new ushort[Entries];
        Array.Fill(entries, Free);

        // The turns go by slot, so that the table does not depend on the order in which the workers became ready.
        var orders = Enumerable.Range(0, Workers.Length).OrderBy(i => Workers[i].Slot).ThenBy(i => Workers[i].Name, StringComparer.Ordinal)
            .Select(i => new Order(Workers[i].Name, (ushort)i, _weights[i])).ToArray();
        long greatest = _weights.Max();
        var taken = 0;
        while (true)
        {
            foreach (ref var order in orders.AsSpan())
            {
                // Who has half of the greatest weight has a turn in every second round.
                order.Credit += order.Weight;
                if (order.Credit < greatest)
                {
                    continue;
                }

                order.Credit -= greatest;
                order.TakeFirstFree(entries);
                if (++taken == Entries)
                {
                    return entries;
                }
            }
        }
    }

    /// <summary>The order in which a worker wants the entries: from an offset on, by steps of a size that visits them all since their number is prime.</summary>
    private struct Order(string name, ushort number, int weight)
    {
        public readonly int Weight = weight;
        public long Credit;
        private readonly int _step = 1 + (int)Math.BigMul(KeyHash.Of(Encoding.UTF8.GetBytes(name), seed: 1), Entries - 1, out _);
        private int _next = (int)Math.BigMul(KeyHash.Of(Encoding.UTF8.GetBytes(name), seed: 2), Entries, out _);

        public void TakeFirstFree(ushort[] entries)
        {
            while (entries[_next] != Free)
            {
                Advance();
            }

            entries[_next] = number;
            Advance();
        }

        private void Advance()
        {
            _next += _step;
            _next -= _next >= Entries ? Entries : 0;
        }
    }
}
