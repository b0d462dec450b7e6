namespace FastLB.Core.Balancing;

/// <summary>
/// Turns the addresses that a pool shall reach into its workers. A worker whose address stays keeps its slot, which sticky cookies name, and its counts; a new one gets
/// the lowest slot that is free. Pure.
/// </summary>
public static class ReachedMembers
{
    /// <param name="poolName">The pool.</param>
    /// <param name="before">Its workers until now.</param>
    /// <param name="wanted">Where its workers are from now on, each address once.</param>
    /// <param name="settings">The pool's settings. Workers that were made under others are made anew, with the counts of the old ones.</param>
    /// <param name="isSame">Whether the workers until now were made under the same settings.</param>
    /// <param name="loops">How many loops there are.</param>
    public static Worker[] Renew(string poolName, IReadOnlyList<Worker> before, IReadOnlyList<ReachedWorker> wanted, PoolSettings settings, bool isSame, int loops)
    {
        var kept = before.Where(w => wanted.Any(r => r.Endpoint.Equals(w.Endpoint))).ToArray();
        var taken = kept.Select(w => w.Slot).ToHashSet();
        var next = 0;
        return [.. wanted.Select(Make).OrderBy(w => w.Slot)];

        Worker Make(ReachedWorker reached)
        {
            var zone = reached.Zone is null ? -1 : settings.Zones.IndexOf(reached.Zone);
            if (Array.Find(kept, w => w.Endpoint.Equals(reached.Endpoint)) is { } present)
            {
                var member = isSame && present.Zone == zone ? present : present.Under(settings, zone);
                member.ConfiguredWeight = reached.Weight;
                return member;
            }

            while (!taken.Add(next))
            {
                next++;
            }

            return new Worker(poolName, next, 0, reached.Endpoint, loops, reached.Weight, settings) { Zone = zone };
        }
    }
}
