namespace FastLB.Core.Metrics;

/// <summary>How a request or a TCP connection ended. Decided once; counted under this name in the metrics.</summary>
public enum Outcome : byte
{
    /// <summary>The worker's whole answer reached the client's socket, whatever its status.</summary>
    Completed,

    /// <summary>The client's bytes were refused: 4xx, 501 or 505 by <see cref="Http.Refusal"/>.</summary>
    ClientMalformed,

    /// <summary>The client's head or body did not arrive in time (408), or it did not take its answer.</summary>
    ClientTimeout,

    /// <summary>The client left before its answer was complete.</summary>
    ClientAborted,

    /// <summary>No route matched (404).</summary>
    NoRoute,

    /// <summary>Its route has an answer of its own: a redirect, a fixed answer, or that it is closed for maintenance.</summary>
    AnsweredHere,

    /// <summary>No worker took the request in time (503).</summary>
    NoWorker,

    /// <summary>Too many requests waited already (503).</summary>
    QueueFull,

    /// <summary>The breakers of its pool or of all its workers were open (503).</summary>
    BreakerOpen,

    /// <summary>Its client, or whoever shares its key, asks too often (429).</summary>
    RateLimited,

    /// <summary>Its connection was one more than the listener (503) or its client (429) may have, and was told so.</summary>
    ConnectionLimit,

    /// <summary>The balancer had no buffer left (503).</summary>
    OutOfMemory,

    /// <summary>No worker accepted the connection (502).</summary>
    ConnectFailed,

    /// <summary>No worker accepted the connection in time (504).</summary>
    ConnectTimeout,

    /// <summary>The worker closed the connection before it answered (502).</summary>
    WorkerClosed,

    /// <summary>The worker's answer was malformed (502, or cut off when it had begun).</summary>
    WorkerMalformed,

    /// <summary>The worker did not answer, or stopped in the middle of it, for too long (504, or cut off).</summary>
    WorkerTimeout,

    /// <summary>The worker's answer broke off after it had begun; the client's connection was cut so that it sees that.</summary>
    WorkerTruncated,

    /// <summary>It still ran when the drain deadline passed.</summary>
    DrainDeadline,
}

/// <summary>Names and sides of outcomes, for logs and metrics.</summary>
public static class Outcomes
{
    public static int Count { get; } = Enum.GetValues<Outcome>().Length;

    /// <summary>The outcome's name in kebab-case, as metrics and logs spell it.</summary>
    public static string NameOf(Outcome outcome) => outcome switch
    {
        Outcome.Completed => "completed",
        Outcome.ClientMalformed => "client-malformed",
        Outcome.ClientTimeout => "client-timeout",
        Outcome.ClientAborted => "client-aborted",
        Outcome.NoRoute => "no-route",
        Outcome.AnsweredHere => "answered-here",
        Outcome.NoWorker => "no-worker",
        Outcome.QueueFull => "queue-full",
        Outcome.BreakerOpen => "breaker-open",
        Outcome.RateLimited => "rate-limited",
        Outcome.ConnectionLimit => "connection-limit",
        Outcome.OutOfMemory => "out-of-memory",
        Outcome.ConnectFailed => "connect-failed",
        Outcome.ConnectTimeout => "connect-timeout",
        Outcome.WorkerClosed => "worker-closed",
        Outcome.WorkerMalformed => "worker-malformed",
        Outcome.WorkerTimeout => "worker-timeout",
        Outcome.WorkerTruncated => "worker-truncated",
        Outcome.DrainDeadline => "drain-deadline",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "unknown outcome"),
    };
}
