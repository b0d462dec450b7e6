using FastLB.Core.Resilience;

namespace FastLB.Core.Balancing;

/// <summary>What guards a pool as a whole, as its settings ask for it; null or empty is not there and costs nothing. Shared by all loops.</summary>
public sealed class PoolGuards
{
    public PoolGuards(PoolSettings settings, int loops)
    {
        Breaker = settings.PoolBreaker is { } breaker ? new CircuitBreaker(breaker.Circuit) : null;
        RequestLimit = settings.Limits is { IsAdaptive: true } ? new AtomicLimit(GradientStart) : settings.Limits.Requests > 0 ? new AtomicLimit(settings.Limits.Requests) : null;
        ConnectionLimit = settings.Limits.Connections > 0 ? new AtomicLimit(settings.Limits.Connections) : null;
        RateLimits = [.. settings.RateLimits.Select(r => new RateLimit(r))];
        Waiters = new PlaceWaiters(loops);
        IsGuarded = Breaker is not null || RequestLimit is not null || settings.Breaker is not null
            || ConnectionLimit is not null || settings.Limits.WorkerRequests > 0 || settings.Limits.WorkerConnections > 0;
    }

    private const int GradientStart = 20;

    public CircuitBreaker? Breaker { get; }

    /// <summary>For requests and tunnels of the whole pool.</summary>
    public AtomicLimit? RequestLimit { get; }

    /// <summary>For connections to all workers of the pool, idle ones included.</summary>
    public AtomicLimit? ConnectionLimit { get; }

    public RateLimit[] RateLimits { get; }

    public PlaceWaiters Waiters { get; }

    /// <summary>Whether requests have to be admitted: where there is no breaker and no limit, they just go.</summary>
    public bool IsGuarded { get; }
}

/// <summary>A configured rate limit and what it remembers of its clients.</summary>
public sealed class RateLimit
{
    public RateLimit(RateLimitSettings settings)
    {
        Settings = settings;
        Limiter = new RateLimiter(new RateSettings { PerSecond = settings.PerSecond, Burst = settings.Burst });
    }

    public RateLimitSettings Settings { get; }

    public RateLimiter Limiter { get; }

    /// <summary>Keys are hashed with it, so that nobody can choose ones that push out others.</summary>
    public ulong Seed { get; } = (ulong)Random.Shared.NextInt64();
}
