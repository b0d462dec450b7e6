namespace FastLB.Fleet;

/// <summary>A process of a pool: the slot's number from 0, and the generation from 1.</summary>
internal readonly record struct WorkerKey(int Slot, int Generation);

internal enum Severity
{
    Information,
    Warning,
    Error,
}

/// <summary>What a <see cref="Supervisor"/> wants done, in this order.</summary>
internal abstract record FleetEffect
{
    private FleetEffect()
    {
    }

    /// <summary>Start a process; answer <see cref="FleetEvent.Spawned"/> or <see cref="FleetEvent.SpawnFailed"/>, always.</summary>
    internal sealed record Spawn(int Slot, int Generation) : FleetEffect;

    /// <summary>Find out when it answers on its port; answer <see cref="FleetEvent.Answered"/>.</summary>
    internal sealed record Probe(int Slot, int Generation) : FleetEffect;

    /// <summary>It is ready, for the log, where only the host knows its address.</summary>
    internal sealed record Announce(int Slot, int Generation, long AfterMs) : FleetEffect;

    /// <summary>From now on requests go to <paramref name="Ready"/> only.</summary>
    internal sealed record Publish(IReadOnlyList<WorkerKey> Ready, IReadOnlyList<WorkerKey> Draining) : FleetEffect;

    /// <summary>Find out when no loop sends it requests any more and none is in flight; answer <see cref="FleetEvent.Drained"/>.</summary>
    internal sealed record WatchDrained(int Slot, int Generation) : FleetEffect;

    /// <summary>SIGTERM to its process group.</summary>
    internal sealed record Terminate(int Slot, int Generation) : FleetEffect;

    /// <summary>SIGKILL to its process group.</summary>
    internal sealed record Kill(int Slot, int Generation) : FleetEffect;

    /// <summary>The rolling restart stopped: until it is tried again, slots whose process ends start one as those that still serve were started.</summary>
    internal sealed record FallBack : FleetEffect;

    /// <summary>A sentence about a slot, or about the pool when <paramref name="Slot"/> is null; it follows that name.</summary>
    internal sealed record Log(Severity Severity, int? Slot, string Sentence) : FleetEffect;

    /// <summary>No process of the pool is left and none will come. Once, last.</summary>
    internal sealed record Stopped : FleetEffect;
}
