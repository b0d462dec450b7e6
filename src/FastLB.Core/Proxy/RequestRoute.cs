using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>Where a request goes once its route is known: what its cookies and other keys say.</summary>
internal static class RequestRoute
{
    /// <summary>A hash of the route that matched: one listener's rule, on all loops.</summary>
    public static ulong HashOf(HttpListener listener, LoopRoute route, ulong seed) => KeyHash.Of(listener.Identity, (ulong)route.Route.Number, seed);

    /// <summary>What speaks for one worker or another, as far as the pool cares.</summary>
    public static Affinity AffinityOf(LoopPool pool, in ClientAddress client, ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts)
    {
        var plan = pool.Strategy;
        if (pool.MayGoAnywhere && !plan.UsesZone)
        {
            return Affinity.None;
        }

        var sessions = pool.Pool.Settings.Sticky;
        return new Affinity
        {
            Slot = StickySlotOf(pool, source, head),
            Session = sessions is { Key: { } by } ? RequestKey.HashOf(by, sessions.KeyName.Bytes, client, source, head, facts) | 1 : 0,
            Key = plan.UsesKey ? RequestKey.HashOf(plan.Key, plan.KeyName.Bytes, client, source, head, facts) : 0,
            Zone = plan.UsesZone ? pool.Pool.Settings.Zones.ZoneOf(client) : -1,
        };
    }

    /// <summary>The same for a TCP connection, of which nothing but the address is known.</summary>
    public static Affinity AffinityOf(LoopPool pool, in ClientAddress client)
    {
        var plan = pool.Strategy;
        return new Affinity
        {
            Session = pool.Pool.Settings.Sticky is { Key: KeySource.ClientAddress } ? RequestKey.HashOf(client) | 1 : 0,
            Key = plan.UsesKey ? RequestKey.HashOf(client) : 0,
            Zone = plan.UsesZone ? pool.Pool.Settings.Zones.ZoneOf(client) : -1,
        };
    }

    /// <summary>The priority that the request names, if the pool listens to that; otherwise what the pool's requests have.</summary>
    public static byte PriorityOf(QueueSettings queue, ReadOnlySpan<byte> source, MessageHead head) =>
        !queue.PriorityHeader.IsEmpty && RequestKey.TryFindHeader(source, head, queue.PriorityHeader.Bytes, out var value) && value is [>= (byte)'0' and <= (byte)'7']
            ? (byte)(value[0] - '0')
            : (byte)queue.Priority;

    /// <summary>The slot that the pool's sticky cookie names; -1 without one that we signed.</summary>
    public static int StickySlotOf(LoopPool pool, ReadOnlySpan<byte> source, MessageHead head)
    {
        if (pool.Sticky is not { } sticky || !head.Has(HeaderId.Cookie))
        {
            return -1;
        }

        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id != HeaderId.Cookie)
            {
                continue;
            }

            foreach (var pair in new CookiePairs(source.Slice(line.ValueStart, line.ValueLength)))
            {
                if (pair.Name.SequenceEqual(sticky.Name) && sticky.TryRead(pair.Value, out var slot))
                {
                    return slot;
                }
            }
        }

        return -1;
    }

    /// <summary>The line that sets the sticky cookie anew; empty when the client has the right one or the pool is not sticky.</summary>
    public static ReadOnlySpan<byte> CookieLineFor(LoopPool pool, Worker worker, int stickySlot) =>
        worker.Slot != stickySlot && pool.Sticky is { } sticky ? sticky.SetLineOf(worker.Slot) : default;
}
