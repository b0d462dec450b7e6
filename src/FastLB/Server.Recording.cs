using FastLB.AccessLog;
using FastLB.Admin;
using FastLB.Stories;

namespace FastLB;

/// <summary>What is written down of requests: the access log.</summary>
public sealed partial class Server
{
    private AccessLogWriter? _accessLog;

    /// <summary>Opens the access log's file anew, after it was renamed. Any thread.</summary>
    public void ReopenAccessLog() => _accessLog?.Reopen();

    /// <summary>What became of requests that failed.</summary>
    public IRequestStories Stories => new LoopStories(_proxies);

    private AccessLogStatus? AccessLogStatus => _accessLog is { } log ? new AccessLogStatus(log.Written, log.Dropped) : null;

    private void OpenAccessLog(AccessLogSettings? wanted, int loopCount, ILoggerFactory logs)
    {
        if (wanted is { } settings)
        {
            _accessLog = AccessLogWriter.Start(settings, loopCount, logs.CreateLogger("access-log"));
        }
    }
}
