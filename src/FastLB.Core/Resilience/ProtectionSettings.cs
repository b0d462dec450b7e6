namespace FastLB.Core.Resilience;

/// <summary>After which failures a request is tried again. A failed connect always is: nothing was sent (TRAPS 14).</summary>
[Flags]
public enum RetryOn
{
    None = 0,

    /// <summary>The worker closed the connection before its answer began.</summary>
    Closed = 1,

    /// <summary>The worker did not answer within <see cref="RetrySettings.AttemptMs"/>.</summary>
    Timeout = 2,
    Status502 = 4,
    Status503 = 8,
    Status504 = 16,
}

/// <summary>How a pool's failed requests are tried again (<c>retries:</c>). Immutable.</summary>
public sealed record RetrySettings
{
    /// <summary>How often a request that was sent is tried again, from 0.</summary>
    public int Attempts { get; init; } = 1;

    public RetryOn On { get; init; } = RetryOn.Closed;

    /// <summary>After which time without an answer an attempt is given up for another one, in milliseconds; 0: never. The last attempt has what is left of the whole time.</summary>
    public int AttemptMs { get; init; }

    /// <summary>Retries as a share of the requests of late, from 0 to 1; ten per second and loop are free.</summary>
    public double BudgetShare { get; init; } = 0.2;

    /// <summary>
    /// The longest first pause, in milliseconds; it doubles with each attempt and is drawn at random up to that (full jitter). The first retry
    /// goes without one when another worker takes it, which did nothing wrong.
    /// </summary>
    public int BackoffMs { get; init; } = 25;

    /// <summary>The longest pause of all, in milliseconds.</summary>
    public int MaxBackoffMs { get; init; } = 1_000;
}

/// <summary>How much a pool and each of its workers may have at a time, over all loops (<c>limits:</c> in a pool). 0: no limit.</summary>
public sealed record LoadLimits
{
    public static LoadLimits None { get; } = new();

    /// <summary>Requests and tunnels at one worker.</summary>
    public int WorkerRequests { get; init; }

    /// <summary>Connections to one worker, idle ones included.</summary>
    public int WorkerConnections { get; init; }

    /// <summary>Requests and tunnels at all workers together.</summary>
    public int Requests { get; init; }

    /// <summary>Connections to all workers together, idle ones included.</summary>
    public int Connections { get; init; }

    /// <summary>Whether <see cref="Requests"/> is found by measuring, and moves with what the workers can do.</summary>
    public bool IsAdaptive { get; init; }
}

/// <summary>How requests wait for a worker (<c>queue:</c>); for how long is the timeout <c>queue</c>.</summary>
public sealed record QueueSettings
{
    /// <summary>The priority of what names none.</summary>
    public const int DefaultPriority = 3;

    public static QueueSettings Default { get; } = new();

    /// <summary>How many may wait per loop, from 0.</summary>
    public int Length { get; init; } = 1_024;

    /// <summary>The header that names a request's priority, from 0 to 7, of which the greatest is served first; empty: all are equal.</summary>
    public Utf8Name PriorityHeader { get; init; }

    /// <summary>The priority of a request that names none.</summary>
    public int Priority { get; init; } = DefaultPriority;
}
