using FastLB.Fleet;

namespace FastLB.Tests.Fleet;

public class RolloutTests
{
    [Fact]
    public void The_old_worker_serves_until_the_new_one_is_ready_then_drains_then_is_terminated()
    {
        var scenario = SupervisorScenario.AllReady(1).Tell(new FleetEvent.RestartRolling());
        Assert.Contains(new FleetEffect.Spawn(0, 2), scenario.Effects);
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Publish or FleetEffect.Terminate);

        scenario.Up(0, 2);
        var publish = Assert.Single(scenario.Effects.OfType<FleetEffect.Publish>());
        Assert.Equal("0.2", SupervisorScenario.Show(publish.Ready));
        Assert.Equal("0.1", SupervisorScenario.Show(publish.Draining));
        Assert.Contains(new FleetEffect.WatchDrained(0, 1), scenario.Effects);
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Terminate);

        scenario.Tell(new FleetEvent.Drained(0, 1));
        Assert.Contains(new FleetEffect.Terminate(0, 1), scenario.Effects);

        scenario.Exit(0, 1, "exited with status 0");
        Assert.Contains(scenario.Sentences, sentence => sentence.StartsWith("rolling restart finished", StringComparison.Ordinal));
    }

    [Fact]
    public void Only_one_slot_at_a_time_is_replaced()
    {
        var scenario = SupervisorScenario.AllReady(3).Tell(new FleetEvent.RestartRolling());
        for (var slot = 0; slot < 3; slot++)
        {
            Assert.Equal(new FleetEffect.Spawn(slot, 2), Assert.Single(scenario.Effects.OfType<FleetEffect.Spawn>()));
            scenario.Up(slot, 2);
            Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
            scenario.Tell(new FleetEvent.Drained(slot, 1));
            Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
            scenario.Exit(slot, 1, "exited with status 0");
        }

        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
        Assert.All(scenario.Supervisor.Slots, slot => Assert.Equal(2, slot.Serving!.Key.Generation));
    }

    [Fact]
    public void Requests_that_do_not_end_hold_the_old_worker_no_longer_than_the_drain_time()
    {
        var scenario = SupervisorScenario.AllReady(1).Tell(new FleetEvent.RestartRolling()).Up(0, 2);
        var since = scenario.NowMs;

        scenario.ToDeadline();

        Assert.Equal(30_000, scenario.NowMs - since);
        Assert.Contains(new FleetEffect.Terminate(0, 1), scenario.Effects);
    }

    [Theory]
    [InlineData("exit")]
    [InlineData("silence")]
    [InlineData("no start")]
    public void A_new_version_that_never_becomes_ready_leaves_every_old_worker_serving(string failure)
    {
        var scenario = SupervisorScenario.AllReady().Tell(new FleetEvent.RestartRolling());
        switch (failure)
        {
            case "exit":
                scenario.Tell(new FleetEvent.Spawned(0, 2)).Exit(0, 2);
                break;
            case "silence":
                scenario.Tell(new FleetEvent.Spawned(0, 2)).ToDeadline();
                Assert.Contains(new FleetEffect.Kill(0, 2), scenario.Effects);
                scenario.Exit(0, 2, "was killed by SIGKILL");
                break;
            default:
                scenario.Tell(new FleetEvent.SpawnFailed(0, 2, "no such program"));
                break;
        }

        var error = Assert.Single(scenario.Effects.OfType<FleetEffect.Log>(), log => log.Severity == Severity.Error);
        Assert.Null(error.Slot);
        Assert.Contains("rolling restart stopped at app/0: generation 2 never became ready", error.Sentence, StringComparison.Ordinal);
        Assert.Contains("generation 1 stays", error.Sentence, StringComparison.Ordinal);
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Publish or FleetEffect.Spawn or FleetEffect.Terminate);
        Assert.All(scenario.Supervisor.Slots, slot => Assert.Equal((1, ProcessState.Ready), (slot.Serving!.Key.Generation, slot.Serving.State)));
        Assert.Equal(long.MaxValue, scenario.Supervisor.NextDeadlineMs);
    }

    [Fact]
    public void When_the_old_worker_dies_meanwhile_the_new_one_takes_its_slot_and_no_third_is_started()
    {
        var scenario = SupervisorScenario.AllReady().Tell(new FleetEvent.RestartRolling()).Tell(new FleetEvent.Spawned(0, 2));

        scenario.Exit(0, 1, "was killed by SIGKILL");
        Assert.IsType<FleetEffect.Publish>(scenario.Effects[0]);
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);

        scenario.Tell(new FleetEvent.Answered(0, 2));
        Assert.Contains(new FleetEffect.Spawn(1, 2), scenario.Effects);
    }

    [Fact]
    public void A_new_version_that_dies_after_it_took_over_goes_no_further()
    {
        var scenario = SupervisorScenario.AllReady().Tell(new FleetEvent.RestartRolling()).Up(0, 2).Exit(0, 2);

        var error = Assert.Single(scenario.Effects.OfType<FleetEffect.Log>(), log => log.Severity == Severity.Error);
        Assert.Contains("became ready but then exited with status 1", error.Sentence, StringComparison.Ordinal);

        scenario.Tell(new FleetEvent.Drained(0, 1)).Exit(0, 1, "exited with status 0");
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn(1, _));
        Assert.Equal(1, scenario.Supervisor.Slots[1].Generation);
    }

    [Fact]
    public void A_stop_meanwhile_stops_the_old_and_the_new_process()
    {
        var scenario = SupervisorScenario.AllReady(1).Tell(new FleetEvent.RestartRolling()).Tell(new FleetEvent.Spawned(0, 2)).Tell(new FleetEvent.Stop());
        Assert.Contains(new FleetEffect.Terminate(0, 1), scenario.Effects);
        Assert.Contains(new FleetEffect.Terminate(0, 2), scenario.Effects);

        scenario.Exit(0, 2, "exited with status 0").Exit(0, 1, "exited with status 0");
        Assert.IsType<FleetEffect.Stopped>(scenario.Effects[^1]);
    }

    [Fact]
    public void Requests_for_a_rolling_restart_meanwhile_are_followed_by_one_more()
    {
        var scenario = SupervisorScenario.AllReady(1).Tell(new FleetEvent.RestartRolling());
        scenario.Tell(new FleetEvent.RestartRolling()).Tell(new FleetEvent.RestartRolling());
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);

        scenario.Up(0, 2).Tell(new FleetEvent.Drained(0, 1)).Exit(0, 1);
        Assert.Contains(new FleetEffect.Spawn(0, 3), scenario.Effects);
        scenario.Up(0, 3).Tell(new FleetEvent.Drained(0, 2)).Exit(0, 2);
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
    }

    [Fact]
    public void A_slot_that_waits_after_a_crash_gets_its_new_process_at_once()
    {
        var scenario = SupervisorScenario.AllReady(1).Exit(0, 1).Tell(new FleetEvent.RestartRolling());
        Assert.Contains(new FleetEffect.Spawn(0, 2), scenario.Effects);

        scenario.Up(0, 2);
        Assert.Equal("0.2", SupervisorScenario.Show(scenario.Effects.OfType<FleetEffect.Publish>().Single().Ready));
        Assert.Equal(long.MaxValue, scenario.Supervisor.NextDeadlineMs);
    }
}
