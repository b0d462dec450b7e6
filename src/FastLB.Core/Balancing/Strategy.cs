using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>Chooses one of the workers that take requests. Each loop has its own instance, so implementations need no locks.</summary>
public abstract class Strategy
{
    /// <summary>An index into <paramref name="workers"/>, which is never empty. Must be allocation-free.</summary>
    public abstract int Pick(ReadOnlySpan<Worker> workers, RandomSource random);

    public static Strategy Create(StrategyKind kind) => kind switch
    {
        StrategyKind.RoundRobin => new RoundRobin(),
        StrategyKind.TwoChoices => new TwoChoices(),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown strategy"),
    };

    /// <summary>The strategy's name as the configuration spells it.</summary>
    public static string NameOf(StrategyKind kind) => kind switch
    {
        StrategyKind.RoundRobin => "round-robin",
        StrategyKind.TwoChoices => "two-choices",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown strategy"),
    };
}
