using FastLB.Core.Loop;

namespace FastLB.Fleet;

internal enum ProcessState
{
    /// <summary>Asked for, and until it answers on its port.</summary>
    Starting,

    /// <summary>It answers, and takes requests unless it waits for its turn in a rolling restart or, in a pool that opens together, for the others.</summary>
    Ready,

    /// <summary>Replaced; it finishes the requests that it has.</summary>
    Draining,

    /// <summary>Told to stop, or killed, and not yet gone.</summary>
    Stopping,
}

/// <summary>One process of a slot, as its supervisor sees it.</summary>
internal sealed class SlotProcess(int slot, int generation, long startedMs)
{
    public WorkerKey Key { get; } = new(slot, generation);

    public long StartedMs { get; } = startedMs;

    public ProcessState State { get; set; } = ProcessState.Starting;

    /// <summary>False until the host said that it was started; signals wait until then.</summary>
    public bool IsAlive { get; set; }

    /// <summary>Whether SIGKILL was sent.</summary>
    public bool IsKilled { get; set; }

    /// <summary>When it became ready, or null.</summary>
    public long? ReadyMs { get; set; }

    /// <summary>A rolling restart had come to its slot and was given up there. It is restarted if the slot is wanted again.</summary>
    public bool IsBehind { get; set; }

    /// <summary>When patience with its present state ends.</summary>
    public long DeadlineMs { get; set; } = long.MaxValue;
}

/// <summary>
/// A stable place in a pool. It has at most two processes: the one that serves, and during a rolling restart either its replacement
/// before it is ready or its predecessor afterwards.
/// </summary>
internal sealed class Slot(int index, int generation = 0)
{
    public int Index { get; } = index;

    /// <summary>The last generation that was given to a process.</summary>
    public int Generation { get; set; } = generation;

    /// <summary>
    /// The pool wants fewer workers than it has: what is here goes, and nothing follows. A ready worker serves until there is another one that stays.
    /// </summary>
    public bool IsSurplus { get; set; }

    /// <summary>Starts that followed an end nobody had asked for.</summary>
    public int Restarts { get; set; }

    /// <summary>Quick exits in a row.</summary>
    public int QuickExits { get; set; }

    /// <summary>When a process is to be started again, or null.</summary>
    public long? RestartAtMs { get; set; }

    /// <summary>How the last process ended, "exited with status 1", or why it could not be started.</summary>
    public string? LastExit { get; set; }

    public SlotProcess? Serving { get; set; }

    public SlotProcess? Incoming { get; set; }

    public SlotProcess? Leaving { get; set; }

    public bool IsEmpty => Serving is null && Incoming is null && Leaving is null;

    public IEnumerable<SlotProcess> Processes
    {
        get
        {
            if (Serving is not null)
            {
                yield return Serving;
            }

            if (Incoming is not null)
            {
                yield return Incoming;
            }

            if (Leaving is not null)
            {
                yield return Leaving;
            }
        }
    }

    public SlotProcess? Find(int generation) => Processes.FirstOrDefault(process => process.Key.Generation == generation);

    public void Remove(SlotProcess process)
    {
        Invariant.That(Find(process.Key.Generation) == process, "a process leaves its slot once");
        Serving = Serving == process ? null : Serving;
        Incoming = Incoming == process ? null : Incoming;
        Leaving = Leaving == process ? null : Leaving;
    }
}
