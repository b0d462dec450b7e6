using System.Diagnostics;
using FastLB.Configuration;
using FastLB.Core.Balancing;
using FastLB.Core.Resilience;

namespace FastLB;

/// <summary>What came of an operator's wish: a sentence, and when it was refused, whether the thing was not there or the wish was wrong.</summary>
public sealed record OperatorAnswer(OperatorResult Result, string Text);

public enum OperatorResult
{
    Done,
    NotFound,
    Wrong,
}

/// <summary>
/// What an operator may change while traffic flows, through the admin API and the commands that use it. Every change takes effect from
/// the next choice on, and is gone after a restart: what shall stay is written into the configuration. Any thread but a loop's.
/// </summary>
public sealed partial class Operator(IReadOnlyList<Pool> pools, ILogger log)
{
    private readonly ILogger _log = log;

    /// <summary>Chooses a pool's workers by another strategy.</summary>
    /// <param name="poolName">The pool.</param>
    /// <param name="name">As in the configuration.</param>
    /// <param name="key">Likewise, or null.</param>
    /// <param name="loadBound">Likewise, or null.</param>
    public OperatorAnswer UseStrategy(string poolName, string name, string? key, string? loadBound)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        if (!StrategyReader.TryMake(name, key, loadBound, out var plan, out var wrong, out var problem))
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"{wrong}: {problem}");
        }

        var before = pool.Snapshot.Strategy;
        pool.Use(plan);
        LogStrategy(pool.Name, Describe(plan), Describe(before));
        return new OperatorAnswer(OperatorResult.Done, $"pool {pool.Name} chooses by {Describe(plan)} now, before by {Describe(before)}");
    }

    /// <summary>Gives a worker another share.</summary>
    public OperatorAnswer SetWeight(string poolName, int slot, int weight)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        if (weight is < 1 or > PoolReader.MaxWeight)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"weight: {weight} is out of range; 1 to {PoolReader.MaxWeight} are allowed");
        }

        if (!pool.TrySetWeight(slot, weight))
        {
            return new OperatorAnswer(OperatorResult.NotFound, $"pool {pool.Name} has no worker {slot}");
        }

        LogWeight(pool.Name, slot, weight);
        return new OperatorAnswer(OperatorResult.Done, $"worker {pool.Name}/{slot} has weight {weight} now");
    }

    /// <summary>Forces a breaker open or closed, or lets it judge by itself again.</summary>
    /// <param name="poolName">The pool.</param>
    /// <param name="slot">The worker; null: the pool's own breaker.</param>
    /// <param name="wish"><c>open</c>, <c>closed</c> or <c>auto</c>.</param>
    public OperatorAnswer ForceBreaker(string poolName, int? slot, string wish)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        if (wish is not ("open" or "closed" or "auto"))
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"breaker: expected open, closed or auto, found '{wish}'");
        }

        var who = slot is null ? $"pool {pool.Name}" : $"worker {pool.Name}/{slot}";
        var breakers = slot is null
            ? [pool.Guards.Breaker]
            : pool.Members.Ready.Where(w => w.Slot == slot).Select(w => w.Breaker).ToArray();
        if (breakers.Length == 0)
        {
            return new OperatorAnswer(OperatorResult.NotFound, $"pool {pool.Name} has no worker {slot}");
        }

        if (breakers.Contains(null))
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"{who} has no breaker; configure '{(slot is null ? "poolBreaker" : "breaker")}' in the pool");
        }

        foreach (var breaker in breakers)
        {
            breaker!.Force(wish switch { "open" => BreakerForce.Open, "closed" => BreakerForce.Closed, _ => BreakerForce.None }, Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1000));
        }

        return new OperatorAnswer(OperatorResult.Done, wish == "auto" ? $"the breaker of {who} judges by itself" : $"the breaker of {who} is forced {wish}");
    }

    /// <summary>A strategy with what it goes by, as people read it.</summary>
    internal static string Describe(StrategyPlan plan) =>
        plan.UsesKey && plan.Name != "source-address" ? $"{plan.Name} of {KeyText.Of(plan.Key, plan.KeyName)}" : plan.Name;

    private Pool? Find(string name) => pools.FirstOrDefault(p => p.Name == name);

    private OperatorAnswer NoPool(string name)
    {
        var hint = NearestWord.Of(name, pools.Select(p => p.Name)) is { } nearest ? $"did you mean '{nearest}'?" : $"there are {string.Join(", ", pools.Select(p => p.Name))}";
        return new OperatorAnswer(OperatorResult.NotFound, $"there is no pool '{name}'; {hint}");
    }

    [LoggerMessage(LogLevel.Information, "pool {pool}: the operator chose strategy {now} instead of {before}")]
    private partial void LogStrategy(string pool, string now, string before);

    [LoggerMessage(LogLevel.Information, "pool {pool}: the operator gave worker {slot} the weight {weight}")]
    private partial void LogWeight(string pool, int slot, int weight);
}
