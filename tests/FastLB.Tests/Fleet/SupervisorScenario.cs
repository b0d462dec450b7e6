using FastLB.Core.Loop;
using FastLB.Fleet;

namespace FastLB.Tests.Fleet;

/// <summary>A supervisor and a clock, in the words that a test needs. Effects of the last step only are kept.</summary>
internal sealed class SupervisorScenario
{
    private readonly List<FleetEffect> _effects = [];

    public SupervisorScenario(int instances = 2, ulong seed = 1, bool opensTogether = false) =>
        Supervisor = new Supervisor(Settings(instances, opensTogether), new RandomSource(seed));

    public Supervisor Supervisor { get; }

    public long NowMs { get; private set; } = 1_000_000;

    public IReadOnlyList<FleetEffect> Effects => _effects;

    public IEnumerable<string> Sentences => _effects.OfType<FleetEffect.Log>().Select(log => log.Sentence);

    /// <summary>The workers that requests went to after each change of them in the last step, like "0.1 1.1".</summary>
    public IEnumerable<string> Published => _effects.OfType<FleetEffect.Publish>().Select(publish => Show(publish.Ready));

    public static RunSettings Settings(int instances, bool opensTogether = false) => new()
    {
        PoolName = "app",
        Command = ["worker"],
        Instances = instances,
        ReadyTimeoutMs = 10_000,
        KillTimeoutMs = 5_000,
        DrainMs = 30_000,
        OpensTogether = opensTogether,
    };

    public SupervisorScenario Tell(FleetEvent occurred)
    {
        _effects.Clear();
        Supervisor.Handle(occurred, NowMs, _effects);
        return this;
    }

    public SupervisorScenario After(long ms)
    {
        NowMs += ms;
        return this;
    }

    /// <summary>Goes to the next deadline and ticks there.</summary>
    public SupervisorScenario ToDeadline()
    {
        NowMs = Math.Max(NowMs, Supervisor.NextDeadlineMs);
        return Tell(new FleetEvent.Tick());
    }

    /// <summary>The process was started and answers.</summary>
    public SupervisorScenario Up(int slot, int generation) =>
        Tell(new FleetEvent.Spawned(slot, generation)).Tell(new FleetEvent.Answered(slot, generation));

    public SupervisorScenario Exit(int slot, int generation, string how = "exited with status 1") =>
        Tell(new FleetEvent.Exited(slot, generation, how));

    /// <summary>All slots run generation 1 and are ready.</summary>
    public static SupervisorScenario AllReady(int instances = 2)
    {
        var scenario = new SupervisorScenario(instances).Tell(new FleetEvent.Start());
        for (var slot = 0; slot < instances; slot++)
        {
            scenario.Up(slot, 1);
        }

        return scenario;
    }

    public static string Show(IEnumerable<WorkerKey> keys) => string.Join(" ", keys.Select(key => $"{key.Slot}.{key.Generation}"));
}
