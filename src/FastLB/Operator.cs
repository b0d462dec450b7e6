using FastLB.Configuration;
using FastLB.Core.Balancing;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;
using FastLB.Linux;

namespace FastLB;

/// <summary>What came of an operator's wish: a sentence, and when it was refused, whether the thing was not there or the wish was wrong.</summary>
public sealed record OperatorAnswer(OperatorResult Result, string Text);

public enum OperatorResult
{
    Done,
    NotFound,
    Wrong,
}

/// <summary>What an operator's changes reach of the running server. Any thread but a loop's.</summary>
/// <param name="Exclusively">Makes a change while nothing is reloaded.</param>
/// <param name="Pools">The pools of now.</param>
/// <param name="Scale">Runs another number of a pool's workers; with null as many as are configured. False when FastLB runs none there.</param>
/// <param name="RouteNames">The routes that have a name, of all listeners.</param>
/// <param name="Maintain">Closes the routes of a name, or opens them. False when there is none.</param>
/// <param name="Listeners">Where FastLB itself listens.</param>
public sealed record OperatorReach(
    Func<Func<OperatorAnswer>, OperatorAnswer> Exclusively,
    Func<IReadOnlyList<Pool>> Pools,
    Func<string, int?, bool> Scale,
    Func<IReadOnlyList<string>> RouteNames,
    Func<string, MaintenanceWord, bool> Maintain,
    Func<IReadOnlyList<Endpoint>> Listeners);

/// <summary>
/// What an operator may change while traffic flows, through the admin API and the commands that use it. Every change takes effect from
/// the next choice on, stays when the configuration is read anew unless that is asked to forget it, and is gone after a restart: what shall stay is written into the
/// configuration. Any thread but a loop's.
/// </summary>
/// <param name="reach">What there is to change.</param>
/// <param name="log">What is changed is told there.</param>
public sealed partial class Operator(OperatorReach reach, ILogger log)
{
    private readonly ILogger _log = log;

    /// <summary>All changes are made through this; a reload that is under way ends first.</summary>
    public OperatorAnswer Exclusively(Func<OperatorAnswer> change) => reach.Exclusively(change);

    /// <summary>Chooses a pool's workers by another strategy.</summary>
    /// <param name="poolName">The pool.</param>
    /// <param name="name">As in the configuration.</param>
    /// <param name="key">Likewise, or null.</param>
    /// <param name="loadBound">Likewise, or null.</param>
    public OperatorAnswer UseStrategy(string poolName, string name, string? key, string? loadBound)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        if (!StrategyReader.TryMake(name, key, loadBound, out var plan, out var wrong, out var problem))
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"{wrong}: {problem}");
        }

        var before = pool.Snapshot.Strategy;
        pool.Change(overlay => overlay with { Strategy = plan });
        LogStrategy(pool.Name, Describe(plan), Describe(before));
        return new OperatorAnswer(OperatorResult.Done, $"pool {pool.Name} chooses by {Describe(plan)} now, before by {Describe(before)}");
    }

    /// <summary>Gives a worker another share.</summary>
    public OperatorAnswer SetWeight(string poolName, int slot, int weight)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        if (weight is < 1 or > PoolReader.MaxWeight)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"weight: {weight} is out of range; 1 to {PoolReader.MaxWeight} are allowed");
        }

        if (!HasSlot(pool, slot))
        {
            return NoWorker(pool, slot);
        }

        pool.Change(overlay => overlay with { Weights = overlay.Weights.SetItem(slot, weight) });

        LogWeight(pool.Name, slot, weight);
        return new OperatorAnswer(OperatorResult.Done, $"worker {pool.Name}/{slot} has weight {weight} now");
    }

    /// <summary>Takes a worker out of service or back.</summary>
    /// <param name="poolName">The pool.</param>
    /// <param name="slot">The worker.</param>
    /// <param name="wish"><c>on</c>, <c>drain</c> (it keeps the sessions that it has) or <c>off</c>.</param>
    public OperatorAnswer Switch(string poolName, int slot, string wish)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        WorkerSwitch? state = wish switch { "on" => WorkerSwitch.On, "drain" => WorkerSwitch.Drain, "off" => WorkerSwitch.Off, _ => null };
        if (state is null)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"state: expected on, drain or off, found '{wish}'");
        }

        if (!HasSlot(pool, slot))
        {
            return NoWorker(pool, slot);
        }

        pool.Change(overlay => overlay.WithSwitch(slot, state.Value));
        LogSwitch(pool.Name, slot, wish);
        var text = state switch
        {
            WorkerSwitch.On => "takes requests again",
            WorkerSwitch.Drain => "keeps its sessions and gets no new ones",
            _ => "gets nothing any more",
        };
        return new OperatorAnswer(OperatorResult.Done, $"worker {pool.Name}/{slot} {text}{(pool.Workers.Ready.Length == 0 ? "; the pool has no other, so requests wait" : "")}");
    }

    /// <summary>Reaches one more worker.</summary>
    public OperatorAnswer Add(string poolName, string address, int weight)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        if (pool.Settings.Reached.Count == 0)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"FastLB runs the workers of pool {pool.Name}; to have more of them, scale it");
        }

        if (!Address.TryParseWorker(address, HostNames.Resolve, out var endpoint, out var problem, out _))
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"address: {problem}");
        }

        if (reach.Listeners().FirstOrDefault(l => OwnListeners.Reaches(endpoint, l)) is { } own)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"address: {endpoint} is FastLB's own listener ({own}); requests would go round for ever");
        }

        if (weight is < 1 or > PoolReader.MaxWeight)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"weight: {weight} is out of range; 1 to {PoolReader.MaxWeight} are allowed");
        }

        if (pool.Members.Ready.FirstOrDefault(w => w.Endpoint.Equals(endpoint)) is { } present)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"{endpoint} is worker {present.Name} already");
        }

        if (pool.Members.Ready.Length >= PoolReader.MaxWorkers)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"pool {pool.Name} has {PoolReader.MaxWorkers} workers, the most that are allowed");
        }

        pool.Change(overlay => overlay with
        {
            Removed = overlay.Removed.Remove(endpoint),
            Added = pool.Settings.Reached.Any(r => r.Endpoint.Equals(endpoint)) ? overlay.Added : overlay.Added.Add(new ReachedWorker(endpoint, weight)),
        });
        var slot = pool.Members.Ready.First(w => w.Endpoint.Equals(endpoint)).Slot;
        LogAdded(pool.Name, slot, endpoint.ToString());
        return new OperatorAnswer(OperatorResult.Done, $"worker {pool.Name}/{slot} at {endpoint} takes requests");
    }

    /// <summary>Forgets a worker that is only reached. What is in flight there goes on.</summary>
    public OperatorAnswer Remove(string poolName, int slot)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        if (pool.Settings.Reached.Count == 0)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"FastLB runs the workers of pool {pool.Name}; to have fewer of them, scale it");
        }

        if (pool.Members.Ready.FirstOrDefault(w => w.Slot == slot) is not { } worker)
        {
            return NoWorker(pool, slot);
        }

        if (pool.Members.Ready.Length == 1)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"worker {worker.Name} is the last one of its pool; switch it off instead");
        }

        pool.Change(overlay => overlay with
        {
            Added = overlay.Added.RemoveAll(r => r.Endpoint.Equals(worker.Endpoint)),
            Removed = pool.Settings.Reached.Any(r => r.Endpoint.Equals(worker.Endpoint)) ? overlay.Removed.Add(worker.Endpoint) : overlay.Removed,
        });
        LogRemoved(pool.Name, slot, worker.Endpoint.ToString());
        return new OperatorAnswer(OperatorResult.Done, $"worker {worker.Name} at {worker.Endpoint} is gone; {worker.InFlight} requests in flight there go on");
    }

    /// <summary>Runs another number of workers.</summary>
    /// <param name="poolName">The pool.</param>
    /// <param name="instances">How many; null: as many as are configured.</param>
    public OperatorAnswer Scale(string poolName, int? instances)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        if (instances is < 1 or > RunReader.MaxInstances)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"instances: {instances} is out of range; 1 to {RunReader.MaxInstances} are allowed");
        }

        if (!reach.Scale(pool.Name, instances))
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"FastLB only reaches the workers of pool {pool.Name}; add or remove an address instead");
        }

        return new OperatorAnswer(OperatorResult.Done, instances is { } wanted ? $"pool {pool.Name} is to have {wanted} workers" : $"pool {pool.Name} has as many workers as are configured");
    }

    /// <summary>Closes a route for maintenance, or opens it.</summary>
    /// <param name="name">The route's name; of several listeners, all routes that are called so.</param>
    /// <param name="wish"><c>on</c>, <c>off</c> or <c>configured</c>.</param>
    public OperatorAnswer Maintain(string name, string wish)
    {
        MaintenanceWord? word = wish switch { "on" => MaintenanceWord.On, "off" => MaintenanceWord.Off, "configured" => MaintenanceWord.Configured, _ => null };
        if (word is null)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"maintenance: expected on, off or configured, found '{wish}'");
        }

        var names = reach.RouteNames();
        if (!names.Contains(name) || !reach.Maintain(name, word.Value))
        {
            var hint = NearestWord.Of(name, names) is { } nearest ? $"did you mean '{nearest}'?"
                : names.Count == 0 ? "no route has a name; write one into the configuration: { path: /v1/, name: v1, pool: api }"
                : $"there are {string.Join(", ", names)}";
            return new OperatorAnswer(OperatorResult.NotFound, $"there is no route '{name}'; {hint}");
        }

        LogMaintenance(name, wish);
        var text = word switch
        {
            MaintenanceWord.On => "is closed for maintenance",
            MaintenanceWord.Off => "is open",
            _ => "is as configured",
        };
        return new OperatorAnswer(OperatorResult.Done, $"route {name} {text}");
    }

    /// <summary>Forces a breaker open or closed, or lets it judge by itself again.</summary>
    /// <param name="poolName">The pool.</param>
    /// <param name="slot">The worker; null: the pool's own breaker.</param>
    /// <param name="wish"><c>open</c>, <c>closed</c> or <c>auto</c>.</param>
    public OperatorAnswer ForceBreaker(string poolName, int? slot, string wish)
    {
        if (Find(poolName) is not { } pool)
        {
            return NoPool(poolName);
        }

        BreakerForce? force = wish switch { "open" => BreakerForce.Open, "closed" => BreakerForce.Closed, "auto" => BreakerForce.None, _ => null };
        if (force is null)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"breaker: expected open, closed or auto, found '{wish}'");
        }

        if (slot is { } asked && !HasSlot(pool, asked))
        {
            return NoWorker(pool, asked);
        }

        var who = slot is null ? $"pool {pool.Name}" : $"worker {pool.Name}/{slot}";
        if (slot is null ? pool.Settings.PoolBreaker is null : pool.Settings.Breaker is null)
        {
            return new OperatorAnswer(OperatorResult.Wrong, $"{who} has no breaker; configure '{(slot is null ? "poolBreaker" : "breaker")}' in the pool");
        }

        pool.Change(overlay => overlay.WithBreaker(slot, force.Value, MonotonicClock.NowMs));
        return new OperatorAnswer(OperatorResult.Done, wish == "auto" ? $"the breaker of {who} judges by itself" : $"the breaker of {who} is forced {wish}");
    }

    /// <summary>A strategy with what it goes by, as people read it.</summary>
    internal static string Describe(StrategyPlan plan) =>
        plan.UsesKey && plan.Name != "source-address" ? $"{plan.Name} of {KeyText.Of(plan.Key, plan.KeyName)}" : plan.Name;

    private static bool HasSlot(Pool pool, int slot) => pool.Members.Ready.Concat(pool.Members.Draining).Any(w => w.Slot == slot);

    private static OperatorAnswer NoWorker(Pool pool, int slot) => new(OperatorResult.NotFound, $"pool {pool.Name} has no worker {slot}");

    private Pool? Find(string name) => reach.Pools().FirstOrDefault(p => p.Name == name);

    private OperatorAnswer NoPool(string name)
    {
        var hint = NearestWord.Of(name, reach.Pools().Select(p => p.Name)) is { } nearest ? $"did you mean '{nearest}'?" : $"there are {string.Join(", ", reach.Pools().Select(p => p.Name))}";
        return new OperatorAnswer(OperatorResult.NotFound, $"there is no pool '{name}'; {hint}");
    }

    [LoggerMessage(LogLevel.Information, "pool {pool}: the operator chose strategy {now} instead of {before}")]
    private partial void LogStrategy(string pool, string now, string before);

    [LoggerMessage(LogLevel.Information, "route {route}: the operator switched maintenance to {state}")]
    private partial void LogMaintenance(string route, string state);

    [LoggerMessage(LogLevel.Information, "worker {pool}/{slot}: the operator switched it to {state}")]
    private partial void LogSwitch(string pool, int slot, string state);

    [LoggerMessage(LogLevel.Information, "worker {pool}/{slot}: the operator added it at {address}")]
    private partial void LogAdded(string pool, int slot, string address);

    [LoggerMessage(LogLevel.Information, "worker {pool}/{slot}: the operator removed it from {address}")]
    private partial void LogRemoved(string pool, int slot, string address);

    [LoggerMessage(LogLevel.Information, "worker {pool}/{slot}: the operator gave it the weight {weight}")]
    private partial void LogWeight(string pool, int slot, int weight);
}
