namespace FastLB.Fleet;

/// <summary>What a <see cref="Supervisor"/> is told. A process is named by its slot and generation.</summary>
internal abstract record FleetEvent
{
    private FleetEvent()
    {
    }

    /// <summary>The pool is to have its processes. Once, first.</summary>
    internal sealed record Start : FleetEvent;

    /// <summary>The process that <see cref="FleetEffect.Spawn"/> asked for lives.</summary>
    internal sealed record Spawned(int Slot, int Generation) : FleetEvent;

    /// <summary>It could not be started. <paramref name="Problem"/> is a clause that says why.</summary>
    internal sealed record SpawnFailed(int Slot, int Generation, string Problem) : FleetEvent;

    /// <summary>It answers where <see cref="FleetEffect.Probe"/> asked, and it still lives.</summary>
    internal sealed record Answered(int Slot, int Generation) : FleetEvent;

    /// <summary>It and its process group are gone. <paramref name="How"/> follows its name: "exited with status 1".</summary>
    internal sealed record Exited(int Slot, int Generation, string How) : FleetEvent;

    /// <summary>What <see cref="FleetEffect.WatchDrained"/> asked about holds: no request is in flight there.</summary>
    internal sealed record Drained(int Slot, int Generation) : FleetEvent;

    /// <summary>Replace every process by a new one, one after the other.</summary>
    internal sealed record RestartRolling : FleetEvent;

    /// <summary>The pool is run otherwise from now on. With <paramref name="MustReplace"/> the processes have to be new ones.</summary>
    internal sealed record Changed(RunSettings Run, bool MustReplace) : FleetEvent;

    /// <summary>The pool is not wanted any more; its processes finish what they have.</summary>
    internal sealed record Retire : FleetEvent;

    /// <summary>Stop every process. Draining the pool has been done before.</summary>
    internal sealed record Stop : FleetEvent;

    /// <summary>Stop every process without giving it time.</summary>
    internal sealed record StopAtOnce : FleetEvent;

    /// <summary><see cref="Supervisor.NextDeadlineMs"/> has come.</summary>
    internal sealed record Tick : FleetEvent;
}
