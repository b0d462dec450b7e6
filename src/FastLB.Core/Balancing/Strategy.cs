namespace FastLB.Core.Balancing;

/// <summary>
/// Chooses one of the workers that take requests. Each loop has its own instance, so implementations need no locks; what loops share
/// (the Maglev table) is immutable and comes with the <see cref="Choice"/>. <see cref="Strategies"/> lists them by name.
/// </summary>
public abstract class Strategy : OwnCacheLines
{
    /// <summary>An index into <see cref="Choice.Workers"/>. Allocates nothing.</summary>
    public abstract int Pick(in Choice choice);

    /// <summary>Why it does what it does, for the status page; null when there is nothing to explain. Any thread may ask.</summary>
    public virtual string? Reason => null;
}
