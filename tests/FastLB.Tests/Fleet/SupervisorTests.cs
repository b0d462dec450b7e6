using FastLB.Fleet;

namespace FastLB.Tests.Fleet;

public class SupervisorTests
{
    [Fact]
    public void A_start_spawns_every_slot_and_publishes_none()
    {
        var scenario = new SupervisorScenario(3).Tell(new FleetEvent.Start());

        Assert.Equal([new FleetEffect.Spawn(0, 1), new FleetEffect.Spawn(1, 1), new FleetEffect.Spawn(2, 1)], scenario.Effects);
    }

    [Fact]
    public void A_worker_is_published_when_it_answers_and_not_when_it_was_started()
    {
        var scenario = new SupervisorScenario(1).Tell(new FleetEvent.Start()).Tell(new FleetEvent.Spawned(0, 1));
        Assert.Equal([new FleetEffect.Probe(0, 1)], scenario.Effects);

        scenario.After(45).Tell(new FleetEvent.Answered(0, 1));

        var publish = Assert.IsType<FleetEffect.Publish>(scenario.Effects[0]);
        Assert.Equal("0.1", SupervisorScenario.Show(publish.Ready));
        Assert.Equal(new FleetEffect.Announce(0, 1, 45), scenario.Effects[1]);
    }

    [Fact]
    public void An_exit_takes_the_worker_out_of_rotation_before_anything_else()
    {
        var scenario = SupervisorScenario.AllReady().After(5_000).Exit(0, 1, "was killed by SIGKILL");

        var publish = Assert.IsType<FleetEffect.Publish>(scenario.Effects[0]);
        Assert.Equal("1.1", SupervisorScenario.Show(publish.Ready));
        Assert.Contains(new FleetEffect.Spawn(0, 2), scenario.Effects);
        Assert.Contains("was killed by SIGKILL after 5.0 s; restarting now", scenario.Sentences);
    }

    [Fact]
    public void Five_kills_some_seconds_apart_are_each_followed_by_a_start_at_once()
    {
        var scenario = SupervisorScenario.AllReady(1);
        for (var generation = 1; generation <= 5; generation++)
        {
            scenario.After(2_000).Exit(0, generation, "was killed by SIGKILL");
            Assert.Contains(new FleetEffect.Spawn(0, generation + 1), scenario.Effects);
            scenario.Up(0, generation + 1);
        }
    }

    [Fact]
    public void Quick_exits_wait_longer_each_time_up_to_thirty_seconds_and_other_slots_do_not_notice()
    {
        var scenario = SupervisorScenario.AllReady();
        var delays = new List<long>();
        for (var generation = 1; generation <= 14; generation++)
        {
            scenario.Exit(0, generation);
            Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
            delays.Add(scenario.Supervisor.NextDeadlineMs - scenario.NowMs);
            scenario.ToDeadline();
            Assert.Contains(new FleetEffect.Spawn(0, generation + 1), scenario.Effects);
            scenario.Tell(new FleetEvent.Spawned(0, generation + 1));
        }

        for (var i = 0; i < delays.Count; i++)
        {
            var full = Math.Min(30_000, 100 << i);
            Assert.InRange(delays[i], full / 2, full);
        }

        Assert.Equal(ProcessState.Ready, scenario.Supervisor.Slots[1].Serving!.State);
    }

    [Fact]
    public void The_log_says_what_happened_and_what_comes_next()
    {
        var scenario = SupervisorScenario.AllReady(1).After(300).Exit(0, 1).ToDeadline().Up(0, 2).After(20).Exit(0, 2, "was killed by SIGSEGV");

        var sentence = Assert.Single(scenario.Sentences);
        Assert.Matches(@"^was killed by SIGSEGV after 20 ms; restarting in 1\d\d ms \(2nd quick exit\)$", sentence);
    }

    [Theory]
    [InlineData(9_999, false)]
    [InlineData(10_000, true)]
    public void The_count_of_quick_exits_starts_anew_after_ten_seconds_of_being_ready(int readyForMs, bool startsAnew)
    {
        var scenario = SupervisorScenario.AllReady(1).Exit(0, 1).ToDeadline().Up(0, 2).Exit(0, 2).ToDeadline().Up(0, 3);

        scenario.After(readyForMs).Exit(0, 3);
        scenario.Up(0, 4).Exit(0, 4);

        Assert.Contains(scenario.Sentences, sentence => sentence.Contains(startsAnew ? "1st quick exit" : "3rd quick exit", StringComparison.Ordinal));
    }

    [Fact]
    public void A_worker_that_lives_long_but_never_answers_counts_as_a_quick_exit()
    {
        var scenario = new SupervisorScenario(1).Tell(new FleetEvent.Start()).Tell(new FleetEvent.Spawned(0, 1)).After(5_000).Exit(0, 1);

        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
        Assert.Contains(scenario.Sentences, sentence => sentence.Contains("1st quick exit", StringComparison.Ordinal));
    }

    [Fact]
    public void A_program_that_cannot_be_started_is_tried_again_with_growing_delays()
    {
        var scenario = new SupervisorScenario(1).Tell(new FleetEvent.Start());
        scenario.Tell(new FleetEvent.SpawnFailed(0, 1, "'nodee': no such program in PATH"));

        var sentence = Assert.Single(scenario.Sentences);
        Assert.StartsWith("cannot be started: 'nodee': no such program in PATH; trying again in ", sentence, StringComparison.Ordinal);
        scenario.ToDeadline();
        Assert.Equal([new FleetEffect.Spawn(0, 2)], scenario.Effects);
    }

    [Fact]
    public void A_worker_that_does_not_answer_in_time_is_killed_and_replaced_after_a_delay()
    {
        var scenario = new SupervisorScenario(1).Tell(new FleetEvent.Start()).Tell(new FleetEvent.Spawned(0, 1)).ToDeadline();

        Assert.Equal(1_010_000, scenario.NowMs);
        Assert.Contains(new FleetEffect.Kill(0, 1), scenario.Effects);

        // An answer that comes too late changes nothing.
        scenario.Tell(new FleetEvent.Answered(0, 1));
        Assert.Empty(scenario.Effects);

        scenario.Exit(0, 1, "was killed by SIGKILL");
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Spawn);
        scenario.ToDeadline();
        Assert.Contains(new FleetEffect.Spawn(0, 2), scenario.Effects);
    }

    [Fact]
    public void A_stop_empties_the_snapshot_then_terminates_all_and_ends_when_all_are_gone()
    {
        var scenario = SupervisorScenario.AllReady().Tell(new FleetEvent.Stop());
        var publish = Assert.IsType<FleetEffect.Publish>(scenario.Effects[0]);
        Assert.Empty(publish.Ready);
        Assert.Equal([new FleetEffect.Terminate(0, 1), new FleetEffect.Terminate(1, 1)], scenario.Effects.Skip(1));

        scenario.Exit(0, 1, "exited with status 0");
        Assert.DoesNotContain(scenario.Effects, effect => effect is FleetEffect.Stopped or FleetEffect.Spawn);
        scenario.Exit(1, 1, "exited with status 0");
        Assert.IsType<FleetEffect.Stopped>(scenario.Effects[^1]);
    }

    [Fact]
    public void A_worker_that_ignores_SIGTERM_is_killed_after_killTimeout()
    {
        var scenario = SupervisorScenario.AllReady(1).Tell(new FleetEvent.Stop());
        var stoppedAt = scenario.NowMs;

        scenario.ToDeadline();

        Assert.Equal(5_000, scenario.NowMs - stoppedAt);
        Assert.Contains(new FleetEffect.Kill(0, 1), scenario.Effects);
    }

    [Fact]
    public void A_stop_ends_even_when_a_process_survives_SIGKILL()
    {
        var scenario = SupervisorScenario.AllReady(1).Tell(new FleetEvent.Stop()).ToDeadline().ToDeadline();

        Assert.IsType<FleetEffect.Stopped>(scenario.Effects[^1]);
        Assert.Contains(scenario.Sentences, sentence => sentence.Contains("hangs in the kernel", StringComparison.Ordinal));
    }

    [Fact]
    public void A_stop_while_a_slot_waits_for_its_restart_starts_nothing_more()
    {
        var scenario = SupervisorScenario.AllReady(1).Exit(0, 1).Tell(new FleetEvent.Stop());

        Assert.IsType<FleetEffect.Stopped>(Assert.Single(scenario.Effects));
        Assert.Equal(long.MaxValue, scenario.Supervisor.NextDeadlineMs);
    }

    [Fact]
    public void A_stop_before_the_host_confirmed_the_start_terminates_when_it_does()
    {
        var scenario = new SupervisorScenario(1).Tell(new FleetEvent.Start()).Tell(new FleetEvent.Stop());
        Assert.Empty(scenario.Effects);

        scenario.Tell(new FleetEvent.Spawned(0, 1));
        Assert.Equal([new FleetEffect.Terminate(0, 1)], scenario.Effects);
    }

    [Fact]
    public void Events_about_processes_that_are_gone_are_ignored()
    {
        var scenario = SupervisorScenario.AllReady(1).After(2_000).Exit(0, 1);

        foreach (FleetEvent late in new FleetEvent[] { new FleetEvent.Answered(0, 1), new FleetEvent.Drained(0, 1), new FleetEvent.Exited(0, 1, ""), new FleetEvent.Spawned(7, 1) })
        {
            Assert.Empty(scenario.Tell(late).Effects);
        }
    }
}
