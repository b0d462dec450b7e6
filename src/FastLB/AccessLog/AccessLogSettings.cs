namespace FastLB.AccessLog;

public enum AccessLogFormat
{
    /// <summary>One JSON object to a line.</summary>
    Json,

    /// <summary>The combined format of Apache and nginx.</summary>
    Combined,
}

/// <summary>Where something stands in a configuration. Not part of what is configured: all places are equal, so moving a line changes no settings.</summary>
public readonly record struct SourcePlace(string Text)
{
    public bool Equals(SourcePlace other) => true;

    public override int GetHashCode() => 0;
}

/// <summary><c>accessLog</c> in the configuration, as far as it is one for all listeners.</summary>
/// <param name="Path">The file's full path; null: standard error.</param>
/// <param name="Place">Where that was written, for who is told that it cannot be opened.</param>
public sealed record AccessLogSettings(AccessLogFormat Format, string? Path, SourcePlace Place);
