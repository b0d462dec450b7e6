using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Recording;

/// <summary>How an attempt at a worker ended without its answer reaching the client.</summary>
public enum AttemptEnd : byte
{
    /// <summary>It went on until the request's own end, whatever that was.</summary>
    LastOne,
    ConnectFailed,
    ConnectTimedOut,

    /// <summary>The worker had let an idle connection go just as the request was sent on it.</summary>
    StaleConnection,
    ClosedUnanswered,
    AnswerBrokeOff,
    AnswerMalformed,
    AnswerLate,

    /// <summary>It answered with a status after which another attempt is configured.</summary>
    StatusRetried,

    /// <summary>The client, or the balancer, ended the request while the worker was at it.</summary>
    GivenUp,
}

/// <summary>One attempt at a worker. Times are nanoseconds of the loop's clock; 0 for what did not happen.</summary>
public struct FailedAttempt
{
    /// <summary><c>pool/slot</c>.</summary>
    public string Worker;
    public int Generation;
    public AttemptEnd End;

    /// <summary>The status of its answer; 0 without one.</summary>
    public short Status;

    /// <summary>Whether a connection was used that had served before.</summary>
    public bool Reused;

    /// <summary>The system's number of what went wrong with the connection; 0 when it said nothing.</summary>
    public int Error;
    public long BeganNs;
    public long SentNs;
    public long EndedNs;
}

/// <summary>What decided that a request could not go on: the limit of the configuration that was reached.</summary>
public enum DecidingLimit : byte
{
    None,
    HeadTimeout,
    BodyTimeout,
    QueueTimeout,
    QueueLength,
    ConnectTimeout,
    ResponseTimeout,
    AttemptTimeout,
    TunnelTimeout,
    DrainTimeout,
    RateLimit,
    Breaker,
    RetryBudget,
}

/// <summary>
/// The story of a request that failed, or was tried more than once: enough to tell it in sentences. A place in a loop's <see cref="RecentFailures"/>; only
/// that loop touches it, others get a copy.
/// </summary>
public sealed class FailedRequest
{
    /// <summary>The most attempts that are told; of more, the first are.</summary>
    public const int MaxAttempts = 8;

    /// <summary>The most that is kept of the request's first line, in bytes.</summary>
    public const int MaxLineBytes = 160;

    private readonly FailedAttempt[] _attempts = new FailedAttempt[MaxAttempts];
    private readonly byte[] _line = new byte[MaxLineBytes];
    private readonly byte[] _requestId = new byte[RequestRecord.MaxRequestIdBytes];
    private int _requestIdLength;
    private int _lineLength;
    private int _told;

    public RecordFacts Facts;

    /// <summary>The pool's name; null when the request came to none.</summary>
    public string? Pool { get; set; }

    /// <summary>The pool that was to serve, when another stood in for it.</summary>
    public string? FallbackFor { get; set; }

    public string Listener { get; set; } = "";

    public DecidingLimit Limit { get; set; }

    /// <summary>The limit itself, in its own unit; milliseconds for timeouts.</summary>
    public long LimitValue { get; set; }

    /// <summary>How many attempts there were, told or not.</summary>
    public int AttemptCount { get; private set; }

    public ReadOnlySpan<FailedAttempt> Attempts => _attempts.AsSpan(0, _told);

    /// <summary>Method and target as the client wrote them, cut off after <see cref="MaxLineBytes"/>.</summary>
    public ReadOnlySpan<byte> Line => _line.AsSpan(0, _lineLength);

    /// <summary>What the request is called between clients and workers (X-Request-Id); empty where requests get no ids.</summary>
    public ReadOnlySpan<byte> RequestId => _requestId.AsSpan(0, _requestIdLength);

    internal void Clear()
    {
        Facts = default;
        Facts.Route = -1;
        Facts.Slot = -1;
        Pool = null;
        FallbackFor = null;
        Listener = "";
        Limit = DecidingLimit.None;
        LimitValue = 0;
        AttemptCount = 0;
        Array.Clear(_attempts, 0, _told);
        _told = 0;
        _lineLength = 0;
        _requestIdLength = 0;
    }

    internal void KeepLine(ReadOnlySpan<byte> line)
    {
        _lineLength = Math.Min(line.Length, MaxLineBytes);
        line[.._lineLength].CopyTo(_line);
    }

    internal void KeepRequestId(ReadOnlySpan<byte> id)
    {
        _requestIdLength = Math.Min(id.Length, _requestId.Length);
        id[.._requestIdLength].CopyTo(_requestId);
    }

    internal void Add(in FailedAttempt attempt)
    {
        AttemptCount++;
        if (_told < MaxAttempts)
        {
            _attempts[_told++] = attempt;
        }
    }

    internal FailedRequest Copy()
    {
        var copy = new FailedRequest
        {
            Facts = Facts,
            Pool = Pool,
            FallbackFor = FallbackFor,
            Listener = Listener,
            Limit = Limit,
            LimitValue = LimitValue,
            AttemptCount = AttemptCount,
        };
        copy.KeepLine(Line);
        copy.KeepRequestId(RequestId);
        _attempts.AsSpan(0, _told).CopyTo(copy._attempts);
        copy._told = _told;
        return copy;
    }
}
