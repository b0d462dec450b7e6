namespace FastLB.Logging;

public enum LogFormat
{
    /// <summary>For people at a terminal.</summary>
    Text,

    /// <summary>One JSON object per line, for machines.</summary>
    Json,
}

/// <summary>
/// One line as it waits to be written. It holds nothing that the caller may still change: values are numbers, truth values or
/// text already.
/// </summary>
internal sealed record LogLine(
    DateTimeOffset Time,
    LogLevel Level,
    string Category,
    string Message,
    IReadOnlyList<KeyValuePair<string, object?>> Values,
    string? Exception);
