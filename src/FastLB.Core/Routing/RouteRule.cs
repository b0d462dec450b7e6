using FastLB.Core.Http;
using FastLB.Core.Resilience;

namespace FastLB.Core.Routing;

/// <summary>
/// One line of a listener's <c>routes</c>: what a request has to be, and what becomes of it. A condition that is null or empty always holds; all
/// of them have to. Exactly one of a pool, a redirect and an answer says what becomes of it; maintenance may stand alone.
/// </summary>
/// <param name="Host">A host name without a port, or <c>*.example.com</c> for every name below it; case does not matter.</param>
/// <param name="PathPrefix">What the path starts with, as bytes; <c>/v1/</c> matches <c>/v1/x</c>, not <c>/v10</c>.</param>
/// <param name="PoolName">The pool that answers; empty when none does.</param>
public sealed record RouteRule(string? Host, string? PathPrefix, string PoolName)
{
    /// <summary>How the status, the log and operators call it; null: nobody has to.</summary>
    public string? Name { get; init; }

    /// <summary>The whole path.</summary>
    public string? PathExact { get; init; }

    /// <summary>A regular expression that is found somewhere in the path; matched in linear time.</summary>
    public string? PathRegex { get; init; }

    /// <summary>Any of these, as they are spelled; empty: any at all.</summary>
    public IReadOnlyList<string> Methods { get; init => field = ValueList.Of(value); } = ValueList.Of<string>([]);

    /// <summary>Conditions on headers, query parameters and cookies.</summary>
    public IReadOnlyList<FieldCondition> Fields { get; init => field = ValueList.Of(value); } = ValueList.Of<FieldCondition>([]);

    public RedirectSettings? Redirect { get; init; }

    public AnswerSettings? Answer { get; init; }

    public MaintenanceSettings? Maintenance { get; init; }

    public RouteTimeouts? Timeouts { get; init; }

    /// <summary>Instead of the pool's; the budget stays the pool's.</summary>
    public RetrySettings? Retries { get; init; }

    /// <summary>The largest request body in bytes, instead of the listener's.</summary>
    public long? MaxBodyBytes { get; init; }

    public HeaderChangeSettings? RequestHeaders { get; init; }

    public HeaderChangeSettings? ResponseHeaders { get; init; }

    public RewriteSettings? Rewrite { get; init; }

    /// <summary>Whether anything of it looks at the path.</summary>
    internal bool HasPath => PathPrefix is not null || PathExact is not null || PathRegex is not null;

    /// <summary>Whether more than host and path has to be right.</summary>
    internal bool HasMore => PathRegex is not null || Methods.Count > 0 || Fields.Count > 0;
}

/// <summary>Where a request goes instead.</summary>
/// <param name="To">A template of the Location.</param>
/// <param name="Status">301, 302, 303, 307 or 308.</param>
public sealed record RedirectSettings(string To, int Status);

/// <summary>An answer that is always the same.</summary>
public sealed record AnswerSettings
{
    /// <summary>200 to 599.</summary>
    public int Status { get; init; } = 200;

    public string ContentType { get; init; } = "text/plain; charset=utf-8";

    /// <summary>At most 60 KB.</summary>
    public IReadOnlyList<byte> Body { get; init => field = ValueList.Of(value); } = ValueList.Of<byte>([]);

    /// <summary>Further headers, whose values are sent as they are.</summary>
    public IReadOnlyList<HeaderValue> Headers { get; init => field = ValueList.Of(value); } = ValueList.Of<HeaderValue>([]);
}

/// <summary>What a route answers while it is closed.</summary>
/// <param name="IsOn">Whether it is from the start; operators may say otherwise of a route with a name.</param>
/// <param name="Answer">What is answered, with its Retry-After.</param>
public sealed record MaintenanceSettings(bool IsOn, AnswerSettings Answer);

/// <summary>What a route changes of the timeouts, in milliseconds; null: nothing.</summary>
public sealed record RouteTimeouts
{
    public int? ConnectMs { get; init; }

    public int? ResponseMs { get; init; }

    public int? QueueMs { get; init; }

    public int? TunnelMs { get; init; }

    /// <summary>Of the client's side.</summary>
    public int? BodyMs { get; init; }
}
