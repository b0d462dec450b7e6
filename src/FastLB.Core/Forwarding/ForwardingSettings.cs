namespace FastLB.Core.Forwarding;

/// <summary>Which headers tell a worker who asked.</summary>
public enum ForwardedStyle
{
    /// <summary>X-Forwarded-For, -Proto, -Host, and -Port where that is wanted.</summary>
    XForwarded,

    /// <summary>Forwarded (RFC 7239).</summary>
    Rfc7239,

    Both,

    /// <summary>Neither; those of the client are kept from the worker all the same.</summary>
    None,
}

/// <summary>What happens to X-Request-Id.</summary>
public enum RequestIdMode
{
    /// <summary>Nothing: it passes like any other header.</summary>
    Off,

    /// <summary>A valid one of a trusted proxy is kept; everybody else gets a new one.</summary>
    Accept,

    /// <summary>A valid one is kept whoever sent it.</summary>
    AcceptAll,

    /// <summary>Every request gets a new one.</summary>
    Generate,
}

/// <summary>What happens to traceparent (W3C Trace Context).</summary>
public enum TraceMode
{
    /// <summary>Nothing: it passes like any other header.</summary>
    Pass,

    /// <summary>A trace is started, not sampled, where there is none or a malformed one.</summary>
    Start,

    /// <summary>The same, and the trace says that it is sampled.</summary>
    StartSampled,
}

/// <summary>What a listener tells workers about a request, and whom it believes (<c>forwarding:</c> in the configuration). Immutable.</summary>
public sealed record ForwardingSettings
{
    public static ForwardingSettings Default { get; } = new();

    /// <summary>Peers whose forwarding headers are believed and continued. Everybody else's are replaced.</summary>
    public NetworkSet TrustedProxies { get; init; } = NetworkSet.Empty;

    public ForwardedStyle Style { get; init; }

    /// <summary>What <c>by=</c> says in Forwarded: an identifier that begins with '_' (RFC 7239 6.3); null: there is no by.</summary>
    public string? By { get; init; }

    /// <summary>Whether X-Forwarded-Port is sent.</summary>
    public bool Port { get; init; }

    public RequestIdMode RequestId { get; init; }

    public TraceMode Trace { get; init; }

    /// <summary>Whether answers tell with Server-Timing where their time went.</summary>
    public bool ServerTiming { get; init; }
}
