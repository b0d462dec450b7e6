namespace FastLB.Core.Metrics;

/// <summary>
/// What one loop counts. Only the loop writes; any thread may read. The fields are aligned longs, so a read is
/// never torn, but two of them need not be of the same moment.
/// </summary>
public sealed class LoopMetrics : OwnCacheLines
{
    private readonly long[] _outcomes = new long[Outcomes.Count];
    private readonly long[] _responsesByClass = new long[6];

    /// <summary>
    /// Nanoseconds of HTTP requests that were answered in full, tunnels excepted: from the turn of the loop in which the request's
    /// head was complete until the kernel had taken the answer's last byte.
    /// </summary>
    public Histogram RequestNanoseconds { get; } = new();

    /// <summary>Client connections, HTTP and TCP.</summary>
    public long ConnectionsAccepted;
    public long ConnectionsOpen;

    /// <summary>Connections that were closed at once, because their client had as many as it may.</summary>
    public long ConnectionsRefused;

    /// <summary>HTTP requests, refused ones included. Each has one outcome.</summary>
    public long Requests;

    /// <summary>Connections of TCP listeners. Each has one outcome.</summary>
    public long TcpConnections;

    /// <summary>Of the HTTP requests, those that were sent to a worker together with others of their client.</summary>
    public long PipelinedRequests;

    /// <summary>HTTP requests that became tunnels (101).</summary>
    public long Upgrades;
    public long BytesFromClients;
    public long BytesToClients;

    /// <summary>Of the bytes in both directions, those that the kernel moved past user space.</summary>
    public long BytesMoved;
    public long UpstreamConnects;
    public long UpstreamReuses;
    public long UpstreamOpen;
    public long Retries;

    public void Count(Outcome outcome) => _outcomes[(int)outcome]++;

    /// <summary>Counts an answer that went to a client, by the first digit of its status.</summary>
    public void CountResponse(int status) => _responsesByClass[status / 100]++;

    public long Of(Outcome outcome) => Volatile.Read(ref _outcomes[(int)outcome]);

    /// <summary>Answers with a status of <paramref name="hundreds"/> times 100, from 1 to 5.</summary>
    public long ResponsesOfClass(int hundreds) => Volatile.Read(ref _responsesByClass[hundreds]);
}
