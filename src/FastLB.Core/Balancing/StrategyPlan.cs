namespace FastLB.Core.Balancing;

/// <summary>Which part of a request decides where a strategy of keys (<c>consistent-hash</c>) sends it.</summary>
public enum KeySource
{
    ClientAddress,
    Header,
    Cookie,
    Path,
    Query,

    /// <summary>Nothing: all requests are one. Only for limits.</summary>
    Everyone,

    /// <summary>The route that leads to the pool. Only for limits.</summary>
    Route,
}

/// <summary>A pool's strategy as it is configured or switched to. Immutable; loops notice a new one by its reference.</summary>
/// <param name="Name">One of <see cref="Strategies.Names"/>.</param>
public sealed record StrategyPlan(string Name)
{
    // Looked up once, since each request asks. Not lazily, because plans are compared field by field.
    private readonly StrategyRegistration? _registration = Strategies.Find(Name);

    // A copy made by "with" may have another name than the one that it was looked up by.
    private StrategyRegistration? Registration => _registration?.Name == Name ? _registration : Strategies.Find(Name);

    /// <summary>What is configured when nothing is.</summary>
    public static StrategyPlan Default { get; } = new("two-choices");

    /// <summary>What is hashed, for strategies that use a key.</summary>
    public KeySource Key { get; init; }

    /// <summary>The name of the header, cookie or query parameter, when <see cref="Key"/> is one of these.</summary>
    public Utf8Name KeyName { get; init; }

    /// <summary>
    /// How far above the average load a worker may be before keys go elsewhere, at least 1 (Mirrokni, Thorup and Zadimoghaddam, "Consistent
    /// Hashing with Bounded Loads", 2016). <see cref="double.PositiveInfinity"/>: without bound.
    /// </summary>
    public double LoadBound { get; init; } = 1.25;

    /// <summary>Whether choices come with <see cref="Choice.Table"/>.</summary>
    public bool UsesTable => Registration is { UsesTable: true };

    /// <summary>Whether choices come with <see cref="Choice.Key"/>.</summary>
    public bool UsesKey => Registration is { UsesKey: true };

    /// <summary>Whether choices come with <see cref="Choice.Zone"/>.</summary>
    public bool UsesZone => Registration is { UsesZone: true };

    /// <summary>The strategy of one loop.</summary>
    public Strategy Create() => (Registration ?? throw new ArgumentException($"there is no strategy '{Name}'")).Create(this);
}
