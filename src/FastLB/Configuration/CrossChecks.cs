using FastLB.Core.Balancing;
using FastLB.Core.Proxy;

namespace FastLB.Configuration;

/// <summary>What can be wrong although every listener and every pool is right by itself.</summary>
internal sealed class CrossChecks(
    Mistakes mistakes,
    IReadOnlyList<ListenerDraft> listeners,
    IReadOnlyList<PoolDraft> pools,
    PlacedEndpoint? admin)
{
    public void Run()
    {
        EveryPoolThatIsNamedExists();
        NoAddressIsBoundTwice();
        NoPoolSendsToItsOwnListener();
        EveryPoolIsUsed();
        StickyPoolsSpeakHttp();
        FallbacksEnd();
    }

    private void EveryPoolThatIsNamedExists()
    {
        var names = pools.Select(p => p.Name.Text).ToArray();
        foreach (var mention in listeners.SelectMany(l => l.PoolNames).Concat(pools.Select(p => p.FallbackPool).OfType<ScalarNode>()).Where(m => !names.Contains(m.Text)))
        {
            var hint = NearestWord.Of(mention.Text, names) is { } nearest ? $"did you mean '{nearest}'?"
                : names.Length == 0 ? "there are none"
                : $"there are {string.Join(", ", names)}";
            mistakes.Error(mention, $"there is no pool '{mention.Text}'; {hint}");
        }
    }

    private void NoAddressIsBoundTwice()
    {
        var bound = new Dictionary<Endpoint, int>();
        foreach (var bind in listeners.Select(l => l.Bind).OfType<PlacedEndpoint>())
        {
            if (!bound.TryAdd(bind.Endpoint, bind.At.Line))
            {
                mistakes.Error(
                    bind.At,
                    $"bind: {bind.Endpoint} is the address of the listener in line {bound[bind.Endpoint]} already");
            }
        }

        if (admin is not null && bound.TryGetValue(admin.Endpoint, out var line))
        {
            mistakes.Error(admin.At, $"bind: {admin.Endpoint} is the address of the listener in line {line} already");
        }
    }

    private void NoPoolSendsToItsOwnListener()
    {
        foreach (var worker in pools.SelectMany(p => p.Workers))
        {
            var listener = listeners.Select(l => l.Bind).FirstOrDefault(b => b is not null && OwnListeners.Reaches(worker.Endpoint, b.Endpoint));
            if (listener is not null)
            {
                mistakes.Error(
                    worker.At,
                    $"workers: {worker.Endpoint} is FastLB's own listener (line {listener.At.Line}); requests would go round for ever");
            }
        }
    }

    private void EveryPoolIsUsed()
    {
        foreach (var pool in pools.Where(p => !ListenersOf(p).Any() && !pools.Any(other => other.FallbackPool?.Text == p.Name.Text)))
        {
            mistakes.Warning(pool.Name, $"no listener sends anything to pool '{pool.Name.Text}'");
        }
    }

    /// <summary>The cookie that a sticky session needs exists only where HTTP is spoken.</summary>
    private void StickyPoolsSpeakHttp()
    {
        foreach (var pool in pools.Where(p => p is { Sticky: not null, Settings.Sticky.Key: not KeySource.ClientAddress } && ListenersOf(p).Any() && ListenersOf(p).All(l => l.Protocol == ListenerProtocol.Tcp)))
        {
            mistakes.Error(
                pool.Sticky!,
                $"sticky: pool '{pool.Name.Text}' has only tcp listeners, and TCP knows no cookies and headers; 'by: client-address' works there");
        }
    }

    /// <summary>A pool that stands in for itself, by whatever detour, would never answer.</summary>
    private void FallbacksEnd()
    {
        var told = new HashSet<string>();
        foreach (var pool in pools.Where(p => p.FallbackPool is not null))
        {
            var way = new List<string> { pool.Name.Text };
            for (var next = pool.FallbackPool; next is not null; next = pools.FirstOrDefault(p => p.Name.Text == next.Text)?.FallbackPool)
            {
                way.Add(next.Text);
                if (next.Text == pool.Name.Text)
                {
                    if (way.Any(told.Contains))
                    {
                        break;
                    }

                    told.UnionWith(way);
                    mistakes.Error(pool.FallbackPool!, $"fallback: {string.Join(" -> ", way)} is a circle; the last one has to answer by itself");
                    break;
                }

                if (way.Count > pools.Count + 1)
                {
                    // Another pool's circle, which is told there.
                    break;
                }
            }
        }
    }

    private IEnumerable<ListenerDraft> ListenersOf(PoolDraft pool) =>
        listeners.Where(l => l.PoolNames.Any(n => n.Text == pool.Name.Text));
}
