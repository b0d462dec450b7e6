using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>Chooses one of the workers that take requests. Each loop has its own instance, so implementations need no locks.</summary>
public abstract class Strategy : OwnCacheLines
{
    /// <summary>An index into <paramref name="workers"/>, which is never empty. Must be allocation-free.</summary>
    /// <param name="workers">Those that may be chosen.</param>
    /// <param name="random">The loop's.</param>
    /// <param name="loop">The loop's number.</param>
    /// <param name="nowMs">The loop's clock.</param>
    public abstract int Pick(ReadOnlySpan<Worker> workers, RandomSource random, int loop, long nowMs);

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
