using FastLB.AccessLog;
using FastLB.Admin;

namespace FastLB;

/// <summary>What is written down of requests: the access log.</summary>
public sealed partial class Server
{
    private AccessLogWriter? _accessLog;

    /// <summary>Opens the access log's file anew, after it was renamed. Any thread.</summary>
    public void ReopenAccessLog() => _accessLog?.Reopen();

    private AccessLogStatus? AccessLogStatus => _accessLog is { } log ? new AccessLogStatus(log.Written, log.Dropped) : null;

    private void OpenAccessLog(int loopCount, ILoggerFactory logs)
    {
        if (_settings.AccessLog is { } settings)
        {
            _accessLog = AccessLogWriter.Start(settings, loopCount, logs.CreateLogger("access-log"));
        }
    }
}
