namespace FastLB.Admin;

// What GET /status answers, and what GET /metrics and `fastlb status` are made of. Plain records: the server fills them from
// one consistent look at its counters, and nothing here is computed twice. Names are those of the JSON.

/// <summary>One running FastLB at one moment.</summary>
/// <param name="Engine">The kernel interface that moves the bytes: <c>epoll</c> or <c>io-uring</c>.</param>
/// <param name="EngineReason">Why that one, in a few words.</param>
/// <param name="Draining">True from the wish to stop on.</param>
public sealed record ServerStatus(
    string Version,
    DateTimeOffset StartedAt,
    double UptimeSeconds,
    int Pid,
    string Engine,
    string EngineReason,
    bool Draining,
    IReadOnlyList<LoopStatus> Loops,
    IReadOnlyList<ListenerStatus> Listeners,
    IReadOnlyList<PoolStatus> Pools,
    TotalsStatus Totals)
{
    /// <summary>What happened to pools and workers of late, oldest first.</summary>
    public IReadOnlyList<Health.PoolEvent> Events { get; init; } = [];

    /// <summary>Null without one.</summary>
    public AccessLogStatus? AccessLog { get; init; }
}

/// <param name="Written">Lines that the file took.</param>
/// <param name="Dropped">Lines that were lost, because it took them too slowly or not at all.</param>
public sealed record AccessLogStatus(long Written, long Dropped);

/// <param name="Cpu">The core that the loop's thread is pinned to; null when it is not.</param>
/// <param name="Connections">Client connections that are open.</param>
/// <param name="UpstreamConnections">Worker connections that are open, idle ones included.</param>
/// <param name="Requests">Requests and tunnels since the start.</param>
/// <param name="AllocatedBytes">By the loop's thread since the start; it stands still once everything is warm.</param>
/// <param name="BuffersRented">Buffers in use now.</param>
/// <param name="AcceptPauses">How often accepting rested for a moment because descriptors or memory had run out.</param>
public sealed record LoopStatus(
    int Index,
    int? Cpu,
    long Connections,
    long UpstreamConnections,
    long Requests,
    long AllocatedBytes,
    long BuffersRented,
    long AcceptPauses);

/// <param name="Protocol"><c>http</c> or <c>tcp</c>.</param>
/// <param name="Connections">Open client connections; null when they are not counted per listener.</param>
/// <param name="Acceleration">What moves the bytes of a TCP listener's connections, and why; null for HTTP.</param>
public sealed record ListenerStatus(string Bind, string Protocol, long? Connections, string? Acceleration = null)
{
    /// <summary>Routes that the operator has closed for maintenance, or opened: <c>name: on</c>.</summary>
    public IReadOnlyList<string> Maintenance { get; init; } = [];

    /// <summary>The most connections that it may have; null without a limit of its own.</summary>
    public long? MaxConnections { get; init; }

    /// <summary>How often a connection found the listener or the whole server full, and was answered, closed or left to wait; null where nothing limits it.</summary>
    public long? TurnedAway { get; init; }
}

/// <param name="Strategy">As in the configuration, with what it goes by.</param>
/// <param name="Sticky">The cookie's name; null without sticky sessions.</param>
/// <param name="Errors">How often each cause ended a request, by the cause's name in kebab-case.</param>
public sealed record PoolStatus(
    string Name,
    string Strategy,
    string? Sticky,
    long Requests,
    IReadOnlyDictionary<string, long> Errors,
    IReadOnlyList<WorkerStatus> Workers)
{
    /// <summary>What the operator has changed, with what is configured: <c>strategy: round-robin (configured: two-choices)</c>. Switches and breakers are told by the workers' states.</summary>
    public IReadOnlyList<string> OperatorChanges { get; init; } = [];

    /// <summary>Why the strategy does what it does at present; null when there is nothing to explain.</summary>
    public string? StrategyReason { get; init; }

    /// <summary>Requests that wait for a worker.</summary>
    public long Waiting { get; init; }

    /// <summary>Requests and tunnels at the workers.</summary>
    public long InFlight { get; init; }

    /// <summary>The most that may be there; null without a limit. An adaptive one moves.</summary>
    public int? InFlightLimit { get; init; }

    /// <summary>Requests that somebody else answered, because the pool could not.</summary>
    public long Fallbacks { get; init; }

    /// <summary>The pool's own breaker; null without one.</summary>
    public string? Breaker { get; init; }

    /// <summary>True when so many workers are unfit that all are used all the same.</summary>
    public bool Panicking { get; init; }

    public CapacityStatus? Capacity { get; init; }

    /// <summary>Connections that were upgraded, WebSockets above all.</summary>
    public UpgradeStatus Upgrades { get; init; } = new(0, 0, 0, 0, 0, 0, 0, 0);
}

/// <param name="Open">Upgraded connections that are open.</param>
/// <param name="Opened">Since the start.</param>
/// <param name="WebSockets">Of those, the WebSockets.</param>
/// <param name="ToldToClose">WebSockets that were told to close, because FastLB or their worker stopped or their lifetime was over.</param>
/// <param name="MessagesFromClients">Whole messages of WebSockets, control frames excepted.</param>
/// <param name="MessagesToClients">Likewise.</param>
public sealed record UpgradeStatus(
    long Open, long Opened, long WebSockets, long ToldToClose, long BytesFromClients, long BytesToClients, long MessagesFromClients, long MessagesToClients);

/// <summary>What the pool could do, as far as its answer times tell (<see cref="Core.Resilience.PoolCapacity"/> has the model); a hint, not a promise.</summary>
/// <param name="RequestsPerSecond">Served at present.</param>
/// <param name="MostPerSecond">What could be served; null while that is not known.</param>
/// <param name="Use">The share of it that is used, from 0 to 1.</param>
/// <param name="HeadroomPerSecond">What could come on top; null while that is not known.</param>
/// <param name="FullInSeconds">When all is used if it goes on as in the last minutes; null: not within a day.</param>
public sealed record CapacityStatus(double RequestsPerSecond, double? MostPerSecond, double Use, double? HeadroomPerSecond, double? FullInSeconds);

/// <param name="Name"><c>pool/slot</c>.</param>
/// <param name="Generation">From 1; 0 for a worker that FastLB only reaches.</param>
/// <param name="State"><see cref="Ready"/> when it takes new requests; otherwise why not: <c>starting</c>, <c>draining</c>, <c>backoff</c>, ...</param>
/// <param name="Pid">Null for a worker that FastLB only reaches, or that does not run now.</param>
/// <param name="Endpoint">Null while it has none.</param>
/// <param name="InFlight">Requests and tunnels that have not ended.</param>
/// <param name="Restarts">How often the slot's process was replaced.</param>
/// <param name="LastExit">How the slot's last process ended, for people: <c>exit 1</c>, <c>signal 9</c>.</param>
/// <param name="StartedAt">When the process was started.</param>
public sealed record WorkerStatus(
    string Name,
    int Slot,
    int Generation,
    string State,
    int? Pid,
    string? Endpoint,
    long InFlight,
    long Requests,
    long Failures,
    int Restarts,
    string? LastExit,
    DateTimeOffset? StartedAt)
{
    public const string Ready = "ready";

    /// <summary>In rotation no more, because health checks or its answers speak against it; <see cref="Why"/> says which.</summary>
    public const string Unfit = "unfit";

    /// <summary>It keeps the sessions that it has and gets no new ones: it is being replaced, or the operator wants it so.</summary>
    public const string Draining = "draining";

    /// <summary>Switched off by the operator.</summary>
    public const string Off = "off";

    /// <summary>Its share beside the others'.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>The name of its zone, or null.</summary>
    public string? Zone { get; init; }

    /// <summary>Its breaker's state; null without one.</summary>
    public string? Breaker { get; init; }

    /// <summary>Its process was started by earlier settings of the pool, because the rolling restart that was to replace it has stopped.</summary>
    public bool IsBehind { get; init; }

    /// <summary>Why it gets no requests; null when it gets some.</summary>
    public string? Why { get; init; }

    /// <summary>The mean time until its answers began, since it exists; null before the first.</summary>
    public double? MeanAnswerSeconds { get; init; }
}

/// <summary>Counters of the whole server since its start.</summary>
/// <param name="Responses">Answers to clients by class: <c>1xx</c> to <c>5xx</c>.</param>
/// <param name="Errors">As in <see cref="PoolStatus"/>, with those that never came to a pool.</param>
/// <param name="Latency">How long HTTP requests took that were answered in full.</param>
public sealed record TotalsStatus(
    long Requests,
    long ConnectionsAccepted,
    long ConnectionsOpen,
    long BytesFromClients,
    long BytesToClients,
    long BytesMoved,
    IReadOnlyDictionary<string, long> Responses,
    IReadOnlyDictionary<string, long> Errors,
    LatencyStatus Latency)
{
    /// <summary>Connections that were closed at once: their client had as many as it may, or their PROXY header was missing, wrong or not to be believed.</summary>
    public long ConnectionsRefused { get; init; }
}

/// <summary>
/// Seconds from the loop's turn in which a request's head was complete until the kernel had taken the answer's last byte. Percentiles are
/// up to 0.8 % too high.
/// </summary>
/// <param name="Count">Requests.</param>
/// <param name="AtMost">How many took at most so many seconds, from few to many.</param>
public sealed record LatencyStatus(
    long Count,
    double SumSeconds,
    double P50Seconds,
    double P90Seconds,
    double P99Seconds,
    double P999Seconds,
    double MaxSeconds,
    IReadOnlyList<LatencyBound> AtMost);

public readonly record struct LatencyBound(double Seconds, long Count);
