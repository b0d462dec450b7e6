using FastLB.Fleet;

namespace FastLB.Tests.Fleet;

/// <summary>A pool whose sessions stick serves from nothing with all of its workers and not with the first one.</summary>
public class OpeningTests
{
    [Fact]
    public void Workers_that_open_together_are_published_when_the_last_one_is_ready()
    {
        var scenario = Started(3).Up(1, 1);
        Assert.Equal([new FleetEffect.Announce(1, 1, 0)], scenario.Effects);
        Assert.Empty(scenario.After(300).Up(0, 1).Published);

        Assert.Equal(["0.1 1.1 2.1"], scenario.After(300).Up(2, 1).Published);
        Assert.Equal(long.MaxValue, scenario.Supervisor.NextDeadlineMs);
    }

    [Fact]
    public void Workers_that_need_not_open_together_are_published_one_by_one()
    {
        var scenario = new SupervisorScenario(2).Tell(new FleetEvent.Start()).Up(1, 1);

        Assert.Equal(["1.1"], scenario.Published);
    }

    [Fact]
    public void A_ready_worker_waits_for_the_others_for_a_bounded_time_and_the_log_says_who_was_late()
    {
        var scenario = Started(3).After(4_000).Up(0, 1).After(400).Up(2, 1);
        Assert.Equal(1_004_000 + Supervisor.LongestHoldMs, scenario.Supervisor.NextDeadlineMs);

        scenario.ToDeadline();

        Assert.Equal(["0.1 2.1"], scenario.Published);
        Assert.Equal(["opens while 1 of its 3 workers has not become ready within 1.0 s of the first one"], scenario.Sentences);
        Assert.True(scenario.Supervisor.NextDeadlineMs > scenario.NowMs);
        Assert.Equal(["0.1 1.1 2.1"], scenario.Up(1, 1).Published);
    }

    [Theory]
    [InlineData("exit")]
    [InlineData("no start")]
    [InlineData("silence")]
    public void A_worker_that_has_failed_is_not_waited_for(string failure)
    {
        var scenario = Started(2);
        if (failure == "silence")
        {
            // The first one is ready just before the other's time is over.
            scenario.After(9_900).Up(0, 1);
            Assert.Empty(scenario.Published);
            scenario.Tell(new FleetEvent.Spawned(1, 1)).ToDeadline();
            Assert.Contains(new FleetEffect.Kill(1, 1), scenario.Effects);
        }
        else
        {
            scenario.Up(0, 1);
            Assert.Empty(scenario.Published);
            scenario.Tell(failure == "exit" ? new FleetEvent.Exited(1, 1, "exited with status 1") : new FleetEvent.SpawnFailed(1, 1, "no such program"));
        }

        Assert.Equal(["0.1"], scenario.Published);
    }

    [Fact]
    public void A_worker_that_waits_for_its_restart_is_not_waited_for_but_one_that_is_started_again_is()
    {
        Assert.Equal(["0.1"], Started(2).Exit(1, 1).Up(0, 1).Published);
        Assert.Empty(Started(2).Exit(1, 1).ToDeadline().Up(0, 1).Published);
    }

    [Fact]
    public void A_pool_of_one_worker_is_never_held_back() => Assert.Equal(["0.1"], Started(1).Up(0, 1).Published);

    [Fact]
    public void A_pool_that_serves_gets_each_worker_as_it_comes()
    {
        var scenario = Started(3).Up(0, 1).Up(1, 1).Up(2, 1).After(2_000).Exit(0, 1).Exit(1, 1);

        Assert.Equal(["0.2 2.1"], scenario.Up(0, 2).Published);
    }

    [Fact]
    public void A_pool_whose_workers_were_all_gone_opens_together_again()
    {
        var scenario = Started(2).Up(0, 1).Up(1, 1).After(2_000).Exit(0, 1).Exit(1, 1);
        Assert.Equal([""], scenario.Published);

        Assert.Empty(scenario.Up(1, 2).Published);
        Assert.Equal(["0.2 1.2"], scenario.Up(0, 2).Published);
    }

    [Fact]
    public void The_time_is_the_first_workers_and_begins_anew_when_it_has_gone()
    {
        var scenario = Started(2).Up(0, 1).After(900).Exit(0, 1);
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Publish);
        scenario.ToDeadline();
        var readyAtMs = scenario.NowMs;
        Assert.Empty(scenario.Up(0, 2).Published);

        Assert.Equal(readyAtMs + Supervisor.LongestHoldMs, scenario.Supervisor.NextDeadlineMs);
    }

    [Fact]
    public void A_pool_whose_sessions_stick_no_longer_opens_at_once_and_starts_nothing_anew()
    {
        var scenario = Started(2).Up(0, 1).Tell(new FleetEvent.Changed(SupervisorScenario.Settings(2), MustReplace: false));

        Assert.Equal(["0.1"], scenario.Published);
        Assert.Single(scenario.Effects);
    }

    [Fact]
    public void A_pool_that_serves_already_goes_on_when_its_sessions_are_to_stick()
    {
        var scenario = new SupervisorScenario(2).Tell(new FleetEvent.Start()).Up(0, 1);

        Assert.Empty(scenario.Tell(Changed(2)).Effects);
        Assert.Equal(["0.1 1.1"], scenario.Up(1, 1).Published);
    }

    [Fact]
    public void With_fewer_workers_a_ready_one_that_is_too_many_opens_the_pool_until_one_that_stays_is_ready()
    {
        // Of four two stay, which start; who was held back serves when the time is over.
        var scenario = Started(4).Up(3, 1).Tell(Changed(2));
        Assert.Empty(scenario.Published);
        Assert.Equal(["3.1"], scenario.ToDeadline().Published);
        Assert.Equal(["0.1 3.1", "0.1"], scenario.Up(0, 1).Published);

        // Of two one stays, and there is nothing to hold back any more.
        scenario = Started(2).Up(1, 1).Tell(Changed(1));
        Assert.Equal(["1.1"], scenario.Published);
        Assert.Equal("0.1", scenario.Up(0, 1).Published.Last());
    }

    [Fact]
    public void A_rolling_restart_meanwhile_does_not_open_the_pool_early()
    {
        var scenario = Started(2).Up(0, 1).Tell(new FleetEvent.RestartRolling()).Up(0, 2);
        Assert.All(scenario.Published, ready => Assert.Equal("", ready));

        Assert.Equal("0.2 1.1", scenario.Up(1, 1).Published.Last());
    }

    [Fact]
    public void A_stop_publishes_nobody_who_was_held_back()
    {
        var scenario = Started(2).Up(0, 1).Tell(new FleetEvent.Stop());

        Assert.Equal([new FleetEffect.Terminate(0, 1)], scenario.Effects);
        Assert.True(scenario.Supervisor.NextDeadlineMs > scenario.NowMs + Supervisor.LongestHoldMs);
    }

    private static SupervisorScenario Started(int instances) => new SupervisorScenario(instances, opensTogether: true).Tell(new FleetEvent.Start());

    private static FleetEvent.Changed Changed(int instances) => new(SupervisorScenario.Settings(instances, opensTogether: true), MustReplace: false);
}
