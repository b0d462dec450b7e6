using System.Runtime.CompilerServices;
using FastLB.Core.Balancing;
using FastLB.Examples;

namespace FastLB.Tests.Balancing;

/// <summary>The list of strategies, and one of somebody else's.</summary>
public sealed class StrategiesTests
{
    /// <summary>Before any test, so that all of them see the same list.</summary>
    [ModuleInitializer]
    internal static void RegisterAtStart() => Strategies.Register(new("first-free", _ => new FirstFree(mostInFlight: 2)));

    [Fact]
    public void A_strategy_of_ones_own_is_registered_by_a_line_and_used_like_the_others()
    {
        Assert.Contains("first-free", Strategies.Names);
        var pool = new Pool(new PoolSettings { Name = "app" });
        pool.Change(overlay => overlay with { Strategy = new StrategyPlan("first-free") });
        var strategy = pool.Snapshot.Strategy.Create();
        var workers = OneLoop.Workers(1, 1, 1);
        new OneLoop().Hold(strategy, workers, 3);
        Assert.Equal([2, 1, 0], workers.Select(w => w.InFlight));
        new OneLoop().Hold(strategy, workers, 6);
        Assert.Equal([3, 3, 3], workers.Select(w => w.InFlight));
    }

    [Fact]
    public void The_guide_shows_the_class_that_is_compiled_here_and_its_line()
    {
        var guide = File.ReadAllText(Path.Combine(Root(), "docs", "strategies.md"));
        var source = File.ReadAllText(Path.Combine(Root(), "tests", "FastLB.Tests", "Balancing", "FirstFree.cs"));
        Assert.Contains("```csharp\n" + source + "```", guide, StringComparison.Ordinal);
        Assert.Contains("Strategies.Register(new(\"first-free\", _ => new FirstFree(mostInFlight: 2)));", guide, StringComparison.Ordinal);
        Assert.InRange(source.Split('\n').Length, 1, 40);
    }

    [Fact]
    public void The_guide_tells_of_every_strategy()
    {
        var guide = File.ReadAllText(Path.Combine(Root(), "docs", "strategies.md"));
        Assert.All(Strategies.Names, name => Assert.Contains($"`{name}`", guide, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("two-choices")]
    [InlineData("first-free")]
    public void A_name_that_is_taken_is_refused(string name) =>
        Assert.Throws<ArgumentException>(() => Strategies.Register(new(name, _ => new RoundRobin())));

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData("Two")]
    [InlineData("two_three")]
    [InlineData("two--three")]
    [InlineData("two choices")]
    public void A_name_that_is_not_in_kebab_case_is_refused(string name) =>
        Assert.Throws<ArgumentException>(() => Strategies.Register(new(name, _ => new RoundRobin())));

    [Fact]
    public void A_plan_knows_what_its_strategy_asks_for_also_when_it_is_renamed()
    {
        var plan = new StrategyPlan("consistent-hash");
        Assert.Equal((true, true, false), (plan.UsesKey, plan.UsesTable, plan.UsesZone));
        plan = plan with { Name = "zone" };
        Assert.Equal((false, false, true), (plan.UsesKey, plan.UsesTable, plan.UsesZone));
        Assert.IsType<ZoneAware>(plan.Create());
        Assert.Throws<ArgumentException>(() => new StrategyPlan("nothing").Create());
        Assert.Equal(new StrategyPlan("zone"), new StrategyPlan("zone"));
    }

    private static string Root()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "FastLB.sln")))
        {
            directory = Path.GetDirectoryName(directory)!;
        }

        return directory;
    }
}
