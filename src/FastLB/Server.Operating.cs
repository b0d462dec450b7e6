using FastLB.Core.Balancing;
using FastLB.Core.Routing;

namespace FastLB;

/// <summary>What an operator changes of the running server besides its pools' overlays, and what is told of it.</summary>
public sealed partial class Server
{
    /// <summary>What an operator has changed of a pool, as the configuration stands now.</summary>
    private IEnumerable<OperatorChange> ChangesOf(Pool pool)
    {
        var run = _running.Settings.Runs.FirstOrDefault(r => r.PoolName == pool.Name);
        return OperatorChange.Of(pool, run is not null && _wantedInstances.TryGetValue(pool.Name, out var wanted) ? wanted : null, run?.Instances ?? 0);
    }

    /// <summary>A clause when an operator's changes stand over what has just been read, so that nobody wonders why the file does not hold.</summary>
    private string WhatStays()
    {
        string[] names =
        [
            .. _running.Pools.SelectMany(ChangesOf).Select(change => change.Name),
            .. _running.Listeners.SelectMany(l => l.Switches.All).Where(s => s.Word != MaintenanceWord.Configured).Select(s => $"route {s.Name} maintenance").Distinct(),
        ];
        return names.Length == 0 ? "" : $"; the operator's changes stay: {string.Join(", ", names)}";
    }

    /// <summary>An operator's change and a reload wait for each other, so that neither is made to something that the other has just replaced.</summary>
    private OperatorAnswer Exclusively(Func<OperatorAnswer> change)
    {
        _changing.Wait();
        try
        {
            return _draining ? new OperatorAnswer(OperatorResult.Wrong, "FastLB is stopping") : change();
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Lets the fleet run another number of a pool's workers than is configured, or, with null, as many as are. False when it runs none. Within <see cref="Exclusively"/>.</summary>
    private bool TryScale(string poolName, int? instances)
    {
        if (_running.Settings.Runs.All(r => r.PoolName != poolName))
        {
            return false;
        }

        if (instances is { } wanted)
        {
            _wantedInstances[poolName] = wanted;
        }
        else
        {
            _wantedInstances.TryRemove(poolName, out _);
        }

        TellFleet();
        return true;
    }

    private IEnumerable<string> RouteNames() =>
        _running.Listeners.SelectMany(l => l.Settings.Routes).Select(r => r.Name).OfType<string>().Distinct();

    private bool TryMaintain(string route, MaintenanceWord word)
    {
        var isThere = false;
        foreach (var listener in _running.Listeners)
        {
            isThere |= listener.Switches.TrySet(route, word);
        }

        return isThere;
    }
}
