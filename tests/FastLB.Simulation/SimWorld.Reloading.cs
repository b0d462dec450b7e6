using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;
using HttpListener = FastLB.Core.Proxy.HttpListener;
using TcpListener = FastLB.Core.Proxy.TcpListener;

namespace FastLB.Simulation;

/// <summary>
/// Other configurations while the world goes on, in a third of the worlds, calm ones among them, where nobody may notice: pools that take another's place, with
/// other guards where there are any, routes that are written otherwise, and in unquiet worlds a listener that goes. Of a chance of its own, so that the rest of a seed's world
/// stays as it was.
/// </summary>
internal sealed partial class SimWorld
{
    private const int MaxReloads = 20;

    /// <summary>Pools that others have replaced, with the loop's parts of them, as long as the loop has not been told.</summary>
    private readonly List<(Pool Pool, LoopPool? Part)> _former = [];
    private RandomSource _reloads = new(0);
    private double _reloadChance;
    private int _reloadCount;

    /// <summary>What the loop does not know yet of the last reload. The next one waits for it.</summary>
    private Work? _untoldReload;
    private long _listenerCutOffMs = -1;
    private bool _listenerGone;

    internal int Reloads => _reloadCount;

    private IEnumerable<Pool> AllPools => _pools.Concat(_former.Select(f => f.Pool));

    private void DrawReloads(ulong seed)
    {
        _reloads = new RandomSource(seed ^ 0xA0761D6478BD642F);
        _reloadChance = _reloads.Chance(0.33) ? 0.002 + (_reloads.NextDouble() * 0.02) : 0;
    }

    private void MayReload()
    {
        if (_listenerCutOffMs >= 0 && _network.NowMs >= _listenerCutOffMs)
        {
            _listenerCutOffMs = -1;
            Note("world: drain deadline of the listener");
            _proxy.CutOff(_http);
            _network.Note();
        }

        if (_untoldReload is not null)
        {
            if (_network.IsForced || _reloads.Chance(0.02))
            {
                _loop.Post(_untoldReload);
                _untoldReload = null;
                _network.Note();
            }

            return;
        }

        if (_reloadChance == 0 || _draining || _reloadCount == MaxReloads || !_reloads.Chance(_reloadChance))
        {
            return;
        }

        _reloadCount++;
        switch (_reloads.Next(_mood.IsCalm ? 3 : 4))
        {
            case 0:
                Replace(0);
                break;
            case 1:
                Replace(1);
                break;
            case 2:
                Note("world: other routes");
                _loop.Post(new Work(() => UseRoutes(_reloads.Chance(0.5))));
                break;
            default:
                LetListenerGo();
                break;
        }

        _network.Note();
    }

    private void Replace(int index)
    {
        var before = _pools[index];
        var plain = new PoolSettings
        {
            Name = before.Name,
            Strategy = before.Settings.Strategy,
            Sticky = before.Settings.Sticky,
            Timeouts = before.Settings.Timeouts,
            Acceleration = before.Settings.Acceleration,
            ProxyProtocol = before.Settings.ProxyProtocol,
            Queue = new QueueSettings { Length = 1_000 + _reloadCount },
        };
        var pool = new Pool(Guarded(plain, _reloads), 1, before.Sticky, before);
        Note($"world: another pool takes the place of {before.Name}");
        before.PassOnTo(pool);
        _former.Add((before, _proxy.PartOf(before)));
        _pools[index] = pool;
        foreach (var worker in _workers.Where(w => w.IsTcp == (index == 1)))
        {
            worker.Former.Add(worker.Worker);
            worker.Worker = pool.Own(worker.Worker);
        }

        Pool[] pools = [.. _pools];
        _untoldReload = new Work(() =>
        {
            _proxy.UsePools(pools);
            UseRoutes(isWrittenOtherwise: false);
            ((TcpListener)_tcp).Use(((TcpListener)_tcp).Settings, null, null);
        });
    }

    /// <summary>Pools of this name that another has replaced and that the loop has still: one at the most, because its work is done in order.</summary>
    private IEnumerable<Pool> KnownToLoop(string name) => _former.Where(f => f.Pool.Name == name && _proxy.PartOf(f.Pool) is not null).Select(f => f.Pool);

    private void UseRoutes(bool isWrittenOtherwise)
    {
        RouteRule[] rules = [.. isWrittenOtherwise ? [new RouteRule("nobody.example.com", null, "raw")] : Array.Empty<RouteRule>(), new RouteRule(null, "/r/", "app"), .. _ownRoutes];
        var listener = (HttpListener)_http;
        listener.Use(listener.Settings with { Routes = rules }, new RouteTable(rules), null, null);
    }

    private void LetListenerGo()
    {
        if (_listenerGone)
        {
            return;
        }

        _listenerGone = true;
        Note("world: the listener goes");
        _listenerCutOffMs = _network.NowMs + _mood.Timeouts.DrainMs;
        _loop.Post(new Work(() =>
        {
            if (_http.IsListening)
            {
                _loop.StopListening(_http);
                _proxy.BeginDrain((HttpListener)_http, 300);
            }
        }));
    }

    private sealed class Work(Action act) : PostedWork
    {
        public override void Run(EventLoop loop) => act();
    }
}
