using System.Collections;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Fleet;
using FastLB.Linux;
using Microsoft.Extensions.Logging.Abstractions;

namespace FastLB.Tests.Fleet;

/// <summary>A spawn that cannot even be prepared. No process is started here.</summary>
public class PoolFleetTests
{
    [Fact]
    public void A_spawn_without_a_descriptor_to_try_a_port_with_fails_and_is_tried_again() =>
        Assert.Equal(("backoff", "cannot be started: no descriptors are left"), Spawn(_ => throw new IOException("no descriptors are left")));

    [Fact]
    public void An_exception_that_nobody_expected_costs_one_spawn_and_not_the_thread() =>
        Assert.Equal(("backoff", "cannot be started: odd"), Spawn(_ => throw new InvalidOperationException("odd")));

    [Fact]
    public void A_violated_invariant_is_not_survived() =>
        Assert.Throws<InvariantViolatedException>(() => Spawn(_ => throw new InvariantViolatedException("by design")));

    [Fact]
    public void A_port_that_is_merely_taken_is_named_as_the_reason() =>
        Assert.Equal(("backoff", "cannot be started: no port is free for it on 127.0.0.1"), Spawn(_ => false));

    [Theory]
    [InlineData("other", false, 2)]
    [InlineData("worker", true, 1)]
    public void Another_command_starts_new_processes_and_another_way_to_open_starts_none(string command, bool opensTogether, int generation)
    {
        using var poller = new ProcessPoller();
        var run = SupervisorScenario.Settings(1);
        var pool = new Pool(new PoolSettings { Name = run.PoolName });
        var fleet = Fleet(poller, pool, run, _ => false);
        fleet.Start();

        fleet.Use(pool, run with { Command = [command], OpensTogether = opensTogether }, triesAgain: true);

        Assert.Equal(generation, fleet.LastGeneration);
    }

    private static (string State, string? LastExit) Spawn(Func<int, bool> isFree)
    {
        using var poller = new ProcessPoller();
        var run = SupervisorScenario.Settings(1);
        var fleet = Fleet(poller, new Pool(new PoolSettings { Name = run.PoolName }), run, isFree);
        fleet.Start();
        var processes = new List<WorkerProcess>();
        fleet.Describe(processes);
        var process = Assert.Single(processes);
        return (process.State, process.LastExit);
    }

    private static PoolFleet Fleet(ProcessPoller poller, Pool pool, RunSettings run, Func<int, bool> isFree)
    {
        var resources = new FleetResources(
            poller, [], new PortAllocator((30_000, 30_001), 0, isFree), null, "mark", new Hashtable(), TimeProvider.System,
            NullLoggerFactory.Instance, NullLogger.Instance, _ => { });
        return new PoolFleet(pool, run, resources, new RandomSource(1));
    }
}
