using FastLB.Fleet;

namespace FastLB.Tests.Fleet;

public class ResizingTests
{
    [Fact]
    public void More_instances_are_started_beside_those_that_run()
    {
        var scenario = SupervisorScenario.AllReady(1).Tell(Changed(3));

        Assert.Equal([new FleetEffect.Spawn(1, 1), new FleetEffect.Spawn(2, 1)], scenario.Effects.OfType<FleetEffect.Spawn>());
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Terminate or FleetEffect.Publish);
    }

    [Fact]
    public void Fewer_instances_let_the_last_slots_finish_their_requests_before_they_stop()
    {
        var scenario = SupervisorScenario.AllReady(3).Tell(Changed(1));

        var publish = Assert.IsType<FleetEffect.Publish>(scenario.Effects.OfType<FleetEffect.Publish>().Last());
        Assert.Equal("0.1", SupervisorScenario.Show(publish.Ready));
        Assert.Equal("1.1 2.1", SupervisorScenario.Show(publish.Draining));
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Terminate);

        scenario.Tell(new FleetEvent.Drained(2, 1));
        Assert.Contains(new FleetEffect.Terminate(2, 1), scenario.Effects);
        scenario.Exit(2, 1, "exited with status 0");
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
        Assert.Equal(2, scenario.Supervisor.Slots.Count);

        // Slot 1 holds its place until its process is gone, at the latest when the drain time is over.
        scenario.ToDeadline();
        Assert.Contains(new FleetEffect.Terminate(1, 1), scenario.Effects);
        Assert.Single(scenario.Exit(1, 1, "exited with status 0").Supervisor.Slots);
    }

    [Fact]
    public void A_slot_that_is_wanted_again_while_it_goes_starts_its_next_generation()
    {
        var scenario = SupervisorScenario.AllReady(2).Tell(Changed(1)).Tell(Changed(2));

        Assert.Contains(new FleetEffect.Spawn(1, 2), scenario.Effects);
        scenario.Exit(1, 1, "exited with status 0");
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
    }

    [Fact]
    public void Another_command_is_brought_by_a_rolling_restart_and_slots_that_come_with_it_are_started_once()
    {
        var scenario = SupervisorScenario.AllReady(1).Tell(Changed(2, mustReplace: true));
        Assert.Equal([(0, 2), (1, 1)], Spawned(scenario).Order());

        scenario.Up(1, 1).Up(0, 2).Tell(new FleetEvent.Drained(0, 1)).Exit(0, 1, "exited with status 0");

        Assert.Contains(scenario.Sentences, sentence => sentence.StartsWith("rolling restart finished", StringComparison.Ordinal));
        Assert.Empty(Spawned(scenario));
    }

    [Fact]
    public void Other_times_alone_disturb_nobody()
    {
        var run = SupervisorScenario.Settings(2) with { KillTimeoutMs = 1 };

        Assert.Empty(SupervisorScenario.AllReady(2).Tell(new FleetEvent.Changed(run, MustReplace: false)).Effects);
    }

    [Fact]
    public void A_pool_that_is_no_longer_configured_finishes_its_requests_stops_and_says_so_once()
    {
        var scenario = SupervisorScenario.AllReady(2).Tell(new FleetEvent.Retire());
        Assert.Empty(scenario.Effects.OfType<FleetEffect.Publish>().Last().Ready);
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Terminate or FleetEffect.Stopped);

        scenario.Tell(new FleetEvent.Drained(0, 1)).Exit(0, 1).Tell(new FleetEvent.Drained(1, 1)).Exit(1, 1);

        Assert.Single(scenario.Effects.OfType<FleetEffect.Stopped>());
        Assert.Empty(scenario.Tell(new FleetEvent.Stop()).Effects.OfType<FleetEffect.Stopped>());
    }

    [Fact]
    public void A_slot_that_waits_for_its_restart_and_is_not_wanted_any_more_does_not_come_back()
    {
        var scenario = SupervisorScenario.AllReady(2).Exit(1, 1).Tell(Changed(1));

        Assert.Equal(long.MaxValue, scenario.Supervisor.NextDeadlineMs);
        Assert.Single(scenario.Supervisor.Slots);
    }

    [Fact]
    public void A_worker_that_has_just_taken_over_and_is_too_much_finishes_its_requests_as_well()
    {
        // The predecessor still drains in the same slot.
        var scenario = SupervisorScenario.AllReady(2).Tell(new FleetEvent.RestartRolling()).Up(0, 2);
        scenario.Tell(new FleetEvent.Drained(0, 1)).Exit(0, 1).Up(1, 2);
        Assert.Contains(new FleetEffect.WatchDrained(1, 1), scenario.Effects);

        scenario.Tell(Changed(1));
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Terminate);
        Assert.Contains(new FleetEffect.WatchDrained(1, 2), scenario.Effects);
        Assert.Equal("1.1 1.2", SupervisorScenario.Show(scenario.Effects.OfType<FleetEffect.Publish>().Last().Draining));

        scenario.Tell(new FleetEvent.Drained(1, 2));
        Assert.Contains(new FleetEffect.Terminate(1, 2), scenario.Effects);
    }

    [Fact]
    public void A_slot_whose_two_processes_still_go_gets_no_third_one()
    {
        // Both start, are given up, and are slow to go; then the slot is wanted again and all are to be restarted.
        var scenario = new SupervisorScenario(2).Tell(new FleetEvent.Start());
        scenario.Tell(new FleetEvent.Spawned(0, 1)).Tell(new FleetEvent.Spawned(1, 1)).Tell(new FleetEvent.Answered(0, 1));
        scenario.Tell(new FleetEvent.RestartRolling()).Up(0, 2).Tell(new FleetEvent.Drained(0, 1)).Exit(0, 1);
        Assert.Contains(new FleetEffect.Spawn(1, 2), scenario.Effects);
        scenario.Tell(new FleetEvent.Spawned(1, 2));

        scenario.Tell(Changed(1)).Tell(Changed(2)).Tell(new FleetEvent.RestartRolling());

        Assert.True(scenario.Supervisor.Slots[1].Processes.Count() <= 2);
    }

    [Fact]
    public void The_only_worker_that_serves_goes_on_serving_though_it_is_too_many_until_one_that_stays_is_ready()
    {
        var scenario = OnlyTheLastServes();
        scenario.Tell(Changed(1));
        Assert.Equal(
            [
                new FleetEffect.Log(Severity.Information, 1, "is one too many, and goes on serving until a worker that stays is ready, because none is"),
                new FleetEffect.Log(Severity.Information, null, "has 1 worker now instead of 2"),
            ],
            scenario.Effects);

        scenario.ToDeadline();
        Assert.Equal([new FleetEffect.Spawn(0, 2)], scenario.Effects);
        scenario.Up(0, 2);
        Assert.Equal(["0.2 1.1", "0.2"], scenario.Published);
        Assert.Contains(new FleetEffect.WatchDrained(1, 1), scenario.Effects);
        scenario.Tell(new FleetEvent.Drained(1, 1)).Exit(1, 1, "exited with status 0");
        Assert.Single(scenario.Supervisor.Slots);
    }

    [Fact]
    public void Workers_that_are_too_many_all_serve_while_those_that_stay_start()
    {
        var scenario = new SupervisorScenario(4).Tell(new FleetEvent.Start()).Up(2, 1).Up(3, 1).Tell(Changed(2));
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Publish or FleetEffect.Terminate or FleetEffect.WatchDrained);

        scenario.Up(1, 1);
        Assert.Equal(["1.1 2.1 3.1", "1.1"], scenario.Published);
        Assert.Equal("2.1 3.1", SupervisorScenario.Show(scenario.Effects.OfType<FleetEffect.Publish>().Last().Draining));
    }

    [Fact]
    public void A_worker_that_serves_though_it_is_too_many_has_no_successor()
    {
        var scenario = OnlyTheLastServes().Tell(Changed(1)).After(5_000).Exit(1, 1);

        Assert.Empty(Spawned(scenario));
        Assert.Equal([0], scenario.Supervisor.Slots.Select(slot => slot.Index));
    }

    [Fact]
    public void A_worker_that_serves_though_it_is_too_many_is_one_like_the_others_when_it_is_wanted_again()
    {
        var scenario = OnlyTheLastServes().Tell(Changed(1)).Tell(Changed(2));
        Assert.All(scenario.Effects, effect => Assert.IsType<FleetEffect.Log>(effect));

        scenario.ToDeadline().Up(0, 2);
        Assert.Equal(["0.2 1.1"], scenario.Published);
        Assert.Equal([(1, 2)], Spawned(scenario.After(2_000).Exit(1, 1)));
    }

    [Fact]
    public void A_stop_ends_a_worker_that_serves_though_it_is_too_many()
    {
        var scenario = OnlyTheLastServes().Tell(Changed(1)).Tell(new FleetEvent.Stop());
        Assert.Equal([""], scenario.Published);
        Assert.Contains(new FleetEffect.Terminate(1, 1), scenario.Effects);

        Assert.IsType<FleetEffect.Stopped>(scenario.Exit(1, 1).Effects[^1]);
    }

    [Fact]
    public void In_a_pool_that_is_no_longer_configured_nobody_goes_on_serving()
    {
        var scenario = OnlyTheLastServes().Tell(Changed(1)).Tell(new FleetEvent.Retire());

        Assert.Equal([""], scenario.Published);
        Assert.Contains(new FleetEffect.WatchDrained(1, 1), scenario.Effects);
    }

    [Fact]
    public void Another_command_with_fewer_workers_is_brought_to_those_that_stay_while_the_last_one_serves()
    {
        var scenario = OnlyTheLastServes().Tell(Changed(1, mustReplace: true));
        Assert.Equal([(0, 2)], Spawned(scenario));
        Assert.Empty(scenario.Published);
        Assert.Contains("rolling restart of 1 worker begins", scenario.Sentences);

        scenario.Up(0, 2);
        Assert.Empty(Spawned(scenario));
        Assert.Equal("0.2", scenario.Published.Last());
        Assert.Contains(scenario.Sentences, sentence => sentence.StartsWith("rolling restart finished", StringComparison.Ordinal));
    }

    [Fact]
    public void A_worker_whose_restart_was_given_up_with_its_place_is_restarted_when_the_place_is_wanted_again()
    {
        // The rolling restart has come to the last slot, whose new process still starts, when the first one goes.
        var scenario = SupervisorScenario.AllReady(2).Tell(new FleetEvent.RestartRolling()).Up(0, 2).Tell(new FleetEvent.Drained(0, 1)).Exit(0, 1);
        scenario.Tell(new FleetEvent.Spawned(1, 2)).Exit(0, 2).Tell(Changed(1));
        Assert.Contains(new FleetEffect.Terminate(1, 2), scenario.Effects);
        Assert.Empty(scenario.Published);

        scenario.Tell(Changed(2));
        Assert.Equal([(0, 3)], Spawned(scenario));
        scenario.Exit(1, 2).Up(0, 3);
        Assert.Equal([(1, 3)], Spawned(scenario));
        scenario.Up(1, 3);
        Assert.Equal(["0.3 1.3"], scenario.Published);
    }

    /// <summary>Two workers, of which the first waits for its restart.</summary>
    private static SupervisorScenario OnlyTheLastServes() => SupervisorScenario.AllReady(2).Exit(0, 1);

    private static FleetEvent.Changed Changed(int instances, bool mustReplace = false) => new(SupervisorScenario.Settings(instances), mustReplace);

    private static IEnumerable<(int Slot, int Generation)> Spawned(SupervisorScenario scenario) =>
        scenario.Effects.OfType<FleetEffect.Spawn>().Select(spawn => (spawn.Slot, spawn.Generation));
}
