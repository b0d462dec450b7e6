using Microsoft.Extensions.Logging;

namespace FastLB.Fleet;

/// <summary>What the fleet says. Each line is a sentence that a stranger understands, and names whom it is about.</summary>
internal static partial class FleetLog
{
    [LoggerMessage(Level = LogLevel.Information, Message = "{Worker} generation {Generation} is ready on {Endpoint} after {AfterMs} ms (pid {Pid})")]
    public static partial void Ready(ILogger logger, string worker, int generation, string endpoint, long afterMs, int pid);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Subject} {Sentence}")]
    public static partial void Information(ILogger logger, string subject, string sentence);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Subject} {Sentence}")]
    public static partial void Warning(ILogger logger, string subject, string sentence);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Subject} {Sentence}")]
    public static partial void Error(ILogger logger, string subject, string sentence);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Line}")]
    public static partial void Output(ILogger logger, string line);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Line}")]
    public static partial void ErrorOutput(ILogger logger, string line);
}
