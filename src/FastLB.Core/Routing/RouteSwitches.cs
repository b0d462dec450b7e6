namespace FastLB.Core.Routing;

/// <summary>What an operator says of a route's maintenance.</summary>
public enum MaintenanceWord : byte
{
    /// <summary>What the configuration says holds.</summary>
    Configured,
    On,
    Off,
}

/// <summary>The switch of one named route. Any thread may turn it; loops look at it for each request.</summary>
public sealed class RouteSwitch(string name)
{
    private volatile MaintenanceWord _word;

    public string Name { get; } = name;

    public MaintenanceWord Word
    {
        get => _word;
        set => _word = value;
    }
}

/// <summary>
/// The switches of a listener's named routes. They belong to the listener and not to a table, so that what an operator said outlives a reload:
/// every table that is made with them finds the same switch under the same name. The lock is for whoever makes tables or turns
/// switches; requests never come here.
/// </summary>
public sealed class RouteSwitches
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, RouteSwitch> _byName = [];

    /// <summary>All that any table has asked for, in no order.</summary>
    public IReadOnlyList<RouteSwitch> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _byName.Values];
            }
        }
    }

    /// <summary>Closes or opens the route of this name, on all loops, from their next request on. False when there is none.</summary>
    public bool TrySet(string name, MaintenanceWord word)
    {
        lock (_lock)
        {
            if (!_byName.TryGetValue(name, out var found))
            {
                return false;
            }

            found.Word = word;
            return true;
        }
    }

    /// <summary>Forgets the switches of all other routes, so that names that come and go do not add up. A route that comes back is as it is configured.</summary>
    public void KeepOnly(IEnumerable<string> names)
    {
        var kept = names.ToHashSet();
        lock (_lock)
        {
            foreach (var gone in _byName.Keys.Where(name => !kept.Contains(name)).ToArray())
            {
                _byName.Remove(gone);
            }
        }
    }

    /// <summary>The switch of this name, the same one for everybody.</summary>
    internal RouteSwitch Of(string name)
    {
        lock (_lock)
        {
            if (!_byName.TryGetValue(name, out var found))
            {
                found = new RouteSwitch(name);
                _byName.Add(name, found);
            }

            return found;
        }
    }
}
