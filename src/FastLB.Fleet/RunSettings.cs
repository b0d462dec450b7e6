using FastLB.Core;

namespace FastLB.Fleet;

public enum WorkerTransport
{
    /// <summary>PORT is a port of the worker's own on 127.0.0.1.</summary>
    Tcp,

    /// <summary>PORT is the path of a unix socket, which Node's <c>listen(process.env.PORT)</c> takes as it is.</summary>
    Unix,
}

/// <summary>How the processes of one pool are run (<c>run:</c> in the configuration). Immutable, and equal to what says the same.</summary>
public sealed record RunSettings
{
    public required string PoolName { get; init; }

    /// <summary>The program and its arguments. Never passed through a shell.</summary>
    public required IReadOnlyList<string> Command { get; init => field = ValueList.Of(value); }

    /// <summary>How many processes; the configuration's <c>max</c> is resolved before this.</summary>
    public required int Instances { get; init; }

    /// <summary>The working directory, absolute; null: FastLB's own.</summary>
    public string? Directory { get; init; }

    /// <summary>Added to FastLB's own environment; each name once.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Environment { get; init => field = ValueList.Of(value.OrderBy(v => v.Key, StringComparer.Ordinal)); } = ValueList.Of<KeyValuePair<string, string>>([]);

    public WorkerTransport Transport { get; init; } = WorkerTransport.Tcp;

    /// <summary>From the start of a process until it answers on its port; over it the process is replaced.</summary>
    public int ReadyTimeoutMs { get; init; } = 10_000;

    /// <summary>From SIGTERM until SIGKILL.</summary>
    public int KillTimeoutMs { get; init; } = 5_000;

    /// <summary>How long a replaced worker may go on with the requests that it has.</summary>
    public int DrainMs { get; init; } = 30_000;

    /// <summary>
    /// Whether its first workers are sent requests together and not each as soon as it is ready: so it is for sessions that stay where they begin, of which the
    /// first worker up would get all. It says nothing about the processes, so another value replaces none.
    /// </summary>
    public bool OpensTogether { get; init; }

    /// <summary>Whether a process that these settings start is the same as one that the others do. How many there are, and what FastLB itself does with them, is not part of it.</summary>
    public bool StartsTheSameAs(RunSettings other) => this == other with
    {
        Instances = Instances,
        ReadyTimeoutMs = ReadyTimeoutMs,
        KillTimeoutMs = KillTimeoutMs,
        DrainMs = DrainMs,
        OpensTogether = OpensTogether,
    };

    /// <summary>From its start until requests go to every worker that became ready in time.</summary>
    public int OpenTimeoutMs => ReadyTimeoutMs + (OpensTogether ? Supervisor.LongestHoldMs : 0);
}
