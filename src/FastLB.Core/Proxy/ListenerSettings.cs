using FastLB.Core.Forwarding;
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

/// <summary>Whether connections begin with a PROXY header (<see cref="ProxyHeader"/>).</summary>
public enum ProxyProtocolMode
{
    Off,

    /// <summary>They may, from those who are believed.</summary>
    Optional,

    /// <summary>They must, and from others none are taken.</summary>
    Required,
}

/// <summary>What becomes of a connection when a listener has as many as it may.</summary>
public enum WhenFull
{
    /// <summary>It is answered with a 503 and closed; a TCP one is closed at once.</summary>
    Answer,

    /// <summary>It waits in the kernel's queue until another one has ended.</summary>
    Wait,
}

/// <summary>An address that clients connect to, and where their requests go. Immutable.</summary>
public sealed record ListenerSettings
{
    public required Endpoint Bind { get; init; }

    public ListenerProtocol Protocol { get; init; } = ListenerProtocol.Http;

    /// <summary>First match wins. <c>pool: app</c> in the configuration is one rule without conditions; tcp has exactly that.</summary>
    public required IReadOnlyList<RouteRule> Routes { get; init => field = ValueList.Of(value); }

    /// <summary>Whether nothing happens on a connection before its client has spoken.</summary>
    public bool ClientSpeaksFirst => Protocol == ListenerProtocol.Http || ProxyProtocol == ProxyProtocolMode.Required;

    public Timeouts Timeouts { get; init; } = Timeouts.Default;

    /// <summary>How many connections one client address may have open, over all loops; 0: any number.</summary>
    public int MaxConnectionsPerClient { get; init; }

    /// <summary>How many connections it may have open, over all loops; 0: any number.</summary>
    public int MaxConnections { get; init; }

    public WhenFull WhenFull { get; init; }

    public ForwardingSettings Forwarding { get; init; } = ForwardingSettings.Default;

    public ProxyProtocolMode ProxyProtocol { get; init; }

    /// <summary>Who is believed a PROXY header.</summary>
    public NetworkSet ProxyProtocolFrom { get; init; } = NetworkSet.Empty;

    public ListenOptions Socket { get; init; } = ListenOptions.Default;

    public HttpLimits Limits { get; init; } = HttpLimits.Default;

    /// <summary>Which requests are written to the access log; null: none.</summary>
    public AccessLogFilter? AccessLog { get; init; }
}
