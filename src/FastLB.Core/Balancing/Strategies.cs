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

/// <summary>
/// Every strategy that there is. One of your own is a class and a line: here, or a call of <see cref="Register"/> at start (docs/strategies.md shows one).
/// </summary>
public static class Strategies
{
    private static readonly Lock s_registering = new();

    // Replaced as a whole, so that readers need no lock.
    private static StrategyRegistration[] s_all =
    [
        new("two-choices", _ => new TwoChoices()),
        new("round-robin", _ => new RoundRobin()),
        new("weighted-round-robin", _ => new WeightedRoundRobin()),
        new("random", _ => new RandomChoice()),
        new("least-connections", _ => new LeastConnections()),
        new("response-time", _ => new ResponseTime()),
        new("consistent-hash", plan => new ConsistentHash(plan.LoadBound)) { UsesKey = true, UsesTable = true },
        new("source-address", _ => new ConsistentHash(double.PositiveInfinity)) { UsesKey = true, UsesTable = true },
        new("zone", _ => new ZoneAware()) { UsesZone = true },
        new("auto", _ => new Auto()),
    ];

    /// <summary>The names, in the order in which people are told them.</summary>
    public static IReadOnlyList<string> Names => [.. Volatile.Read(ref s_all).Select(s => s.Name)];

    public static StrategyRegistration? Find(string name) => Array.Find(Volatile.Read(ref s_all), s => s.Name == name);

    /// <summary>
    /// Adds a strategy. Before the configuration is read and any pool exists, since a configuration that names an unknown strategy is refused; any thread.
    /// </summary>
    /// <exception cref="ArgumentException">The name is taken, or not in kebab-case (a to z, digits, and single '-' between them).</exception>
    public static void Register(StrategyRegistration strategy)
    {
        if (!strategy.Name.Split('-').All(word => word.Length > 0 && word.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c))))
        {
            throw new ArgumentException($"'{strategy.Name}' is not a strategy's name; write it like two-choices", nameof(strategy));
        }

        lock (s_registering)
        {
            if (Find(strategy.Name) is not null)
            {
                throw new ArgumentException($"there is a strategy '{strategy.Name}' already", nameof(strategy));
            }

            Volatile.Write(ref s_all, [.. s_all, strategy]);
        }
    }
}
