using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Fleet;

namespace FastLB;

public enum EngineChoice
{
    Auto,
    Epoll,
    IoUring,
}

/// <summary>
/// Everything that one run of FastLB is told, whether it came from a file or from the command line: checked, complete and
/// immutable. Every pool that a route names exists, and a pool has either reached workers or run settings.
/// </summary>
public sealed record Settings
{
    public EngineChoice Engine { get; init; } = EngineChoice.Auto;

    /// <summary>Whether loops spin before they sleep.</summary>
    public SpinPolicy Spin { get; init; }

    /// <summary>How many loops; 0: one per core that this process may use.</summary>
    public int Loops { get; init; }

    /// <summary>Where the admin API listens, and who may use it; null: there is none.</summary>
    public Admin.AdminSettings? Admin { get; init; }

    /// <summary>Where it listens; null: nowhere.</summary>
    public Endpoint? AdminBind => Admin?.Bind;

    /// <summary>Where requests are written down; null: nowhere. Which are is a matter of each listener.</summary>
    public AccessLog.AccessLogSettings? AccessLog { get; init; }

    /// <summary>From the wish to stop until what still runs is cut off.</summary>
    public int DrainMs { get; init; } = Timeouts.Default.DrainMs;

    /// <summary>How many client connections all listeners together may have; 0: any number.</summary>
    public int MaxConnections { get; init; }

    /// <summary>Whether the file is read again whenever it has changed.</summary>
    public bool IsWatched { get; init; }

    public required IReadOnlyList<ListenerSettings> Listeners { get; init => field = ValueList.Of(value); }

    public required IReadOnlyList<PoolSettings> Pools { get; init => field = ValueList.Of(value); }

    /// <summary>For the pools whose processes FastLB runs.</summary>
    public IReadOnlyList<RunSettings> Runs { get; init => field = ValueList.Of(value); } = ValueList.Of<RunSettings>([]);
}
