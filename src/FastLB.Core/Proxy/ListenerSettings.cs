using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Recording;
using FastLB.Core.Routing;

namespace FastLB.Core.Proxy;

public enum ListenerProtocol
{
    Http,
    Tcp,
}

/// <summary>An address that clients connect to, and where their requests go. Immutable.</summary>
public sealed record ListenerSettings
{
    public required Endpoint Bind { get; init; }

    public ListenerProtocol Protocol { get; init; } = ListenerProtocol.Http;

    /// <summary>First match wins. <c>pool: app</c> in the configuration is one rule without conditions; tcp has exactly that.</summary>
    public required IReadOnlyList<RouteRule> Routes { get; init => field = ValueList.Of(value); }

    public Timeouts Timeouts { get; init; } = Timeouts.Default;

    /// <summary>How many connections one client address may have open, over all loops; 0: any number.</summary>
    public int MaxConnectionsPerClient { get; init; }

    public HttpLimits Limits { get; init; } = HttpLimits.Default;

    /// <summary>Which requests are written to the access log; null: none.</summary>
    public AccessLogFilter? AccessLog { get; init; }
}
