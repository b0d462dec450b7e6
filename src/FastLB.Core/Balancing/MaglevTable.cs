namespace FastLB.Core.Balancing;

/// <summary>
/// Where keys go (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4). Immutable; built when
/// a pool's workers change, by who publishes them.
/// </summary>
public sealed class MaglevTable
{
    public MaglevTable(Worker[] workers) => Workers = workers;

    /// <summary>What the table's entries number.</summary>
    public Worker[] Workers { get; }

    /// <summary>How many entries it has; 0 without workers.</summary>
    public int Size => Workers.Length;

    /// <summary>The entry of a key.</summary>
    public int PositionOf(ulong key) => (int)Math.BigMul(key, (ulong)Size, out _);

    /// <summary>The number in <see cref="Workers"/> that an entry holds.</summary>
    public int At(int position) => Workers.Length > position ? position : -1;

    /// <summary>The entry to go on with when an entry's worker cannot take the key.</summary>
    public int After(int position) => position + 1 == Size ? 0 : position + 1;
}
