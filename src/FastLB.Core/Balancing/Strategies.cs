namespace FastLB.Core.Balancing;

/// <summary>One line of <see cref="Strategies"/>.</summary>
/// <param name="Name">As the configuration spells it, in kebab-case.</param>
/// <param name="Create">Makes the instance of one loop.</param>
public sealed record StrategyRegistration(string Name, Func<StrategyPlan, Strategy> Create)
{
    /// <summary>Whether it wants a hash of each request's key.</summary>
    public bool UsesKey { get; init; }

    /// <summary>Whether it wants the pool's Maglev table.</summary>
    public bool UsesTable { get; init; }

    /// <summary>Whether it wants to know the client's zone.</summary>
    public bool UsesZone { get; init; }
}

/// <summary>Every strategy that there is. One of your own is a class and a line here (docs/strategies.md shows one).</summary>
public static class Strategies
{
    private static readonly StrategyRegistration[] s_all =
    [
        new("two-choices", _ => new TwoChoices()),
        new("round-robin", _ => new RoundRobin()),
    ];

    /// <summary>The names, in the order in which people are told them.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. s_all.Select(s => s.Name)];

    public static StrategyRegistration? Find(string name) => Array.Find(s_all, s => s.Name == name);
}
