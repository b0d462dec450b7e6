using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class HealthStateTests
{
    private static readonly HealthCheckSettings s_settings = new() { IntervalMs = 2_000, Rise = 2, Fall = 3 };

    private readonly RandomSource _random = new(1);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_first_check_is_due_at_once_and_decides_alone(bool isHealthy)
    {
        var health = new HealthState(s_settings, isHealthy, 5_000);
        Assert.Equal((5_000, isHealthy), (health.NextCheckMs, health.IsHealthy));
        Assert.True(health.OnResult(!isHealthy, 5_010, _random));
        Assert.Equal(!isHealthy, health.IsHealthy);

        // The second does not.
        Assert.False(health.OnResult(isHealthy, 7_000, _random));
        Assert.Equal(!isHealthy, health.IsHealthy);
    }

    [Fact]
    public void Three_bad_results_in_a_row_make_it_unhealthy_and_two_good_ones_healthy_again()
    {
        var health = new HealthState(s_settings, false, 0);
        bool[] results = [true, false, false, true, false, false, false, true, false, true, true];
        var changed = results.Select(ok => health.OnResult(ok, 0, _random)).ToArray();
        Assert.Equal([true, false, false, false, false, false, true, false, false, false, true], changed);
        Assert.True(health.IsHealthy);
    }

    [Fact]
    public void The_next_check_comes_after_the_interval_and_sooner_when_there_is_doubt()
    {
        var health = new HealthState(s_settings, true, 0);
        for (var i = 0; i < 1_000; i++)
        {
            health.OnResult(true, 10_000, _random);
            Assert.InRange(health.NextCheckMs, 11_800, 12_200);
            health.OnResult(false, 10_000, _random);
            Assert.InRange(health.NextCheckMs, 10_450, 10_550);
        }
    }

    [Fact]
    public void It_changes_exactly_when_the_last_results_all_speak_against_it() => Prop.ForAll<bool[], PositiveInt, PositiveInt>((results, rise, fall) =>
    {
        var settings = s_settings with { Rise = 1 + (rise.Get % 4), Fall = 1 + (fall.Get % 4) };
        var health = new HealthState(settings, results is [true, ..], 0);
        var sinceChange = 0;
        for (var i = 0; i < results.Length; i++)
        {
            var was = health.IsHealthy;
            var needed = was ? settings.Fall : settings.Rise;
            sinceChange++;
            var expected = sinceChange >= needed && results[(i + 1 - needed)..(i + 1)].All(ok => ok != was);
            Assert.Equal(expected, health.OnResult(results[i], i, _random));
            Assert.Equal(expected ? !was : was, health.IsHealthy);
            sinceChange = expected ? 0 : sinceChange;
        }
    }).QuickCheckThrowOnFailure();
}
