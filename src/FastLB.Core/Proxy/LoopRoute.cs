using FastLB.Core.Resilience;
using FastLB.Core.Routing;

namespace FastLB.Core.Proxy;

/// <summary>
/// One loop's part of a route: what an exchange holds of it. The pool is the loop's own, and what the route changes of the pool's and the
/// listener's settings is worked out here, once. Immutable; an exchange that has one keeps it when the listener is given other routes.
/// </summary>
internal sealed class LoopRoute
{
    public LoopRoute(Route route, LoopPool? pool, ListenerSettings listener)
    {
        Route = route;
        Pool = pool;
        Retries = route.Rule.Retries;
        MaxBodyBytes = route.Rule.MaxBodyBytes ?? listener.Limits.BodyBytes;
        if (route.Rule.Timeouts is { } own && pool is not null)
        {
            PoolTimeouts = pool.Timeouts with
            {
                ConnectMs = own.ConnectMs ?? pool.Timeouts.ConnectMs,
                ResponseMs = own.ResponseMs ?? pool.Timeouts.ResponseMs,
                QueueMs = own.QueueMs ?? pool.Timeouts.QueueMs,
                TunnelMs = own.TunnelMs ?? pool.Timeouts.TunnelMs,
            };
            ClientTimeouts = own.BodyMs is { } bodyMs ? listener.Timeouts with { BodyMs = bodyMs } : null;
        }

        _mayRunAhead = pool is not null && route is { ChangesRequest: false, ResponseChanges: null } && PoolTimeouts is null && Retries is null;
    }

    private readonly bool _mayRunAhead;

    public Route Route { get; }

    /// <summary>Null where the route has an answer of its own.</summary>
    public LoopPool? Pool { get; }

    /// <summary>Instead of the pool's; null: those.</summary>
    public Timeouts? PoolTimeouts { get; }

    /// <summary>Instead of the listener's; null: those.</summary>
    public Timeouts? ClientTimeouts { get; }

    /// <summary>Instead of the pool's; null: those.</summary>
    public RetrySettings? Retries { get; }

    /// <summary>The largest request body.</summary>
    public long MaxBodyBytes { get; }

    /// <summary>Whether its requests may be sent before those in front of them are answered: they are passed on as any other, and nothing answers instead.</summary>
    public bool MayRunAhead => _mayRunAhead && !Route.IsInMaintenance;
}
