namespace FastLB.Core.Loop;

/// <summary>When the kernel asks a silent TCP connection whether its other side is still there (tcp(7), TCP_KEEPIDLE and its neighbours).</summary>
/// <param name="IdleSeconds">Silence before the first question.</param>
/// <param name="IntervalSeconds">Between two questions.</param>
/// <param name="Count">Questions without an answer after which the connection is over.</param>
public sealed record KeepAliveProbe(int IdleSeconds, int IntervalSeconds, int Count);

/// <summary>
/// How a listening socket is set up. Accepted connections inherit what is about connections, so nothing of it costs a call per connection. 0 and null leave
/// what the system has. Immutable.
/// </summary>
public sealed record ListenOptions
{
    public const int DefaultBacklog = 4_096;

    public static ListenOptions Default { get; } = new();

    /// <summary>Connections that may wait to be accepted, per loop; the kernel allows at most net.core.somaxconn.</summary>
    public int Backlog { get; init; } = DefaultBacklog;

    public KeepAliveProbe? KeepAliveProbe { get; init; }

    /// <summary>Whether small segments go out at once (TCP_NODELAY).</summary>
    public bool NoDelay { get; init; } = true;

    /// <summary>How long what was sent may stay unacknowledged before the connection is over (TCP_USER_TIMEOUT), in milliseconds.</summary>
    public int UserTimeoutMs { get; init; }

    /// <summary>The kernel's buffers of each connection, which it otherwise sizes by itself.</summary>
    public int ReceiveBufferBytes { get; init; }

    public int SendBufferBytes { get; init; }

    /// <summary>Connections whose first bytes came with their SYN and that are not established yet (TCP_FASTOPEN, RFC 7413); 0: that is not offered.</summary>
    public int FastOpenLength { get; init; }

    /// <summary>The kernel's name of the congestion control, like <c>bbr</c>.</summary>
    public string? Congestion { get; init; }

    /// <summary>Whether an IPv6 socket takes IPv6 connections alone; <c>[::]</c> takes those of IPv4 too without it.</summary>
    public bool Ipv6Only { get; init; } = true;

    /// <summary>The permissions of a unix socket's file; -1: what the umask leaves.</summary>
    public int UnixMode { get; init; } = -1;

    /// <summary>Who owns a unix socket's file; -1: whoever runs FastLB.</summary>
    public int UnixOwner { get; init; } = -1;

    public int UnixGroup { get; init; } = -1;
}
