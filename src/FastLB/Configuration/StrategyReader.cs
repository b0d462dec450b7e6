using FastLB.Core.Balancing;

namespace FastLB.Configuration;

/// <summary>
/// Reads a pool's <c>strategy</c>: a name alone, or <c>{ name: consistent-hash, key: header:X-User, loadBound: 1.25 }</c>. The admin API and the
/// command line say the same in words, which <see cref="TryMake"/> understands.
/// </summary>
internal static class StrategyReader
{
    public const double MaxLoadBound = 100;

    private static readonly string[] Keys = ["name", "key", "loadBound"];

    public static StrategyPlan Read(Section pool, Mistakes mistakes)
    {
        switch (pool.Find("strategy"))
        {
            case null:
                return StrategyPlan.Default;
            case MappingNode node:
                return Section.Open(node, $"strategy of {pool.Name}", Keys, mistakes) is { } strategy ? Read(strategy, node, mistakes) : StrategyPlan.Default;
            default:
                return pool.Text("strategy", "the name of a strategy") is { } name ? Named(name, null, null, mistakes) : StrategyPlan.Default;
        }
    }

    /// <summary>The plan of a name, a key and a bound, or a clause that says what is wrong with which of them.</summary>
    /// <param name="wrong"><c>name</c>, <c>key</c> or <c>loadBound</c>.</param>
    public static bool TryMake(string name, string? key, string? loadBound, out StrategyPlan plan, out string wrong, out string problem)
    {
        (plan, wrong, problem) = (StrategyPlan.Default, "name", "");
        if (Strategies.Find(name) is not { } strategy)
        {
            var hint = NearestWord.Of(name, Strategies.Names) is { } nearest ? $"did you mean '{nearest}'?" : $"there are {string.Join(", ", Strategies.Names)}";
            problem = $"there is no strategy '{name}'; {hint}";
            return false;
        }

        plan = new StrategyPlan(name);
        if (key is not null)
        {
            wrong = "key";
            if (!strategy.UsesKey || name == "source-address")
            {
                problem = $"the strategy {name} goes by no key; consistent-hash does";
                return false;
            }

            if (!KeyText.TryParse(key, out var source, out var keyName, out var unfit))
            {
                problem = unfit;
                return false;
            }

            plan = plan with { Key = source, KeyName = keyName };
        }

        if (loadBound is not null)
        {
            wrong = "loadBound";
            if (name != "consistent-hash")
            {
                problem = $"the strategy {name} has no bound; consistent-hash has";
                return false;
            }

            if (loadBound == "none")
            {
                plan = plan with { LoadBound = double.PositiveInfinity };
            }
            else if (DecimalNumber.TryParse(loadBound, 1, MaxLoadBound, out var bound, out problem))
            {
                plan = plan with { LoadBound = bound };
            }
            else
            {
                return false;
            }
        }

        return true;
    }

    private static StrategyPlan Read(Section strategy, MappingNode node, Mistakes mistakes)
    {
        if (strategy.Find("name") is null)
        {
            mistakes.Error(node, $"'name' is missing in {strategy.Name}; write one of {string.Join(", ", Strategies.Names)}");
            return StrategyPlan.Default;
        }

        return strategy.Text("name", "the name of a strategy") is { } name
            ? Named(name, strategy.Text("key", KeyText.Expected), strategy.Text("loadBound", $"a number from 1 to {MaxLoadBound}, or none"), mistakes)
            : StrategyPlan.Default;
    }

    private static StrategyPlan Named(ScalarNode name, ScalarNode? key, ScalarNode? loadBound, Mistakes mistakes)
    {
        if (TryMake(name.Text, key?.Text, loadBound?.Text, out var plan, out var wrong, out var problem))
        {
            return plan;
        }

        mistakes.Error(
            wrong switch { "key" => key!, "loadBound" => loadBound!, _ => name },
            $"{(wrong == "name" ? "strategy" : wrong)}: {problem}");
        return StrategyPlan.Default;
    }
}
