using System.Net;
using HttpListener = FastLB.Core.Proxy.HttpListener;
using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;
using FastLB.Core.Routing;

namespace FastLB.Simulation;

/// <summary>
/// A whole small world around the real proxy: one loop on a simulated kernel, clients and workers outside it, and misfortune. One seed
/// decides everything. <see cref="Run"/> lives it to its end and throws when something happened that must never be.
/// </summary>
internal sealed partial class SimWorld
{
    private const int MaxRounds = 400_000;

    private static readonly byte[] s_key = new byte[32];

    private readonly RandomSource _chance;
    private readonly SimNetwork _network;
    private readonly SimLoop _loop;
    private readonly ProxyLoop _proxy;
    private readonly Pool[] _pools;
    private readonly Listener _http;
    private readonly Listener _tcp;
    private readonly List<SimRequest> _requests = [];
    private readonly List<SimClient> _clients = [];
    private readonly List<SimTcpClient> _tcpClients = [];
    private readonly List<SimWorker> _workers = [];
    private readonly WorldMood _mood;
    private readonly Queue<string> _trace = new();
    private readonly bool _isTraced;
    private int _nextWorkerAddress = 1;
    private long _nextEventMs = -1;
    private long _cutOffMs = -1;
    private bool _draining;

    // Snapshots that were swapped and that the loop has not been told of: it has to look for itself.
    private readonly bool[] _untold = new bool[2];
    private long _rounds;

    internal SimWorld(ulong seed, bool traced = false)
    {
        _chance = new RandomSource(seed);
        _isTraced = traced;
        _mood = WorldMood.Draw(_chance);
        _network = new SimNetwork(_chance, _mood.Network, FateOf, OnAccepted);
        var buffers = new BufferPool(_mood.LargeBuffers, _mood.SmallBuffers);
        _loop = new SimLoop(_network, buffers, seed ^ 0x5DEECE66D) { Connecting = OnConnecting };
        DrawMoving(new RandomSource(seed ^ 0x9E3779B97F4A7C15));
        if (traced)
        {
            _loop.Trace = Note;
            _network.Trace = Note;
        }

        DrawFeatures(seed);

        // Of its own chance, so that worlds without guards are what they were before there were any.
        var guards = new RandomSource(seed ^ 0xD1B54A32D192ED03);
        var sticky = _mood.IsSticky ? new StickySettings("FASTLB", null) : null;
        _pools =
        [
            new Pool(Guarded(new PoolSettings { Name = "app", ProxyProtocol = _headersToWorkers[0], Strategy = _mood.Strategy, Sticky = sticky, Timeouts = _mood.Timeouts }, guards), sticky: sticky is null ? null : new StickyCookie("app", sticky, s_key)),
            new Pool(Guarded(new PoolSettings { Name = "raw", ProxyProtocol = _headersToWorkers[1], Strategy = _mood.Strategy, Acceleration = (Acceleration)(seed % 4), Timeouts = _mood.Timeouts }, guards)),
        ];
        _proxy = new ProxyLoop(_loop, _pools);
        var bind = Endpoint.Ip(IPAddress.Loopback, 8000);
        RouteRule[] rules = [new RouteRule(null, "/r/", "app"), .. _ownRoutes, new RouteRule(null, "/none1", "") { Answer = new AnswerSettings { Status = 404, Body = "404\n"u8.ToArray() } }];
        _http = new HttpListener(_proxy, WithFeatures(new ListenerSettings { Bind = bind, Routes = rules, Timeouts = _mood.Timeouts }),
            new RouteTable(rules));
        _tcp = new TcpListener(_proxy, WithFeatures(new ListenerSettings { Bind = bind, Routes = [new RouteRule(null, null, "raw")], Timeouts = _mood.Timeouts }));
        _loop.Listen(_http, _network.OpenBacklog());
        _loop.Listen(_tcp, _network.OpenBacklog());
        DrawReloads(seed);
        MakeWorkers();
        MakeClients();
    }

    internal IEnumerable<string> LastEvents => _trace;

    internal long Rounds => _rounds;

    internal long Of(Outcome outcome) => _proxy.Metrics.Of(outcome);

    internal long PipelinedRequests => _proxy.Metrics.PipelinedRequests;

    internal long BytesMoved => _proxy.Metrics.BytesMoved;

    internal string Describe() => _mood.ToString();

    internal void Run()
    {
        while (!IsOver())
        {
            if (++_rounds > MaxRounds)
            {
                throw new SimulationFailedException($"after {MaxRounds} rounds it is still not over");
            }

            var before = _network.Activity;
            Round();
            if (_network.Activity != before)
            {
                if (_chance.Chance(0.02))
                {
                    _network.NowMs += 1 + _chance.Next(3);
                }

                continue;
            }

            _network.IsForced = true;
            Round();
            _network.IsForced = false;
            if (_network.Activity == before && !IsOver())
            {
                WaitForTime();
            }
        }

        CheckAtRest();
    }

    private bool IsOver() =>
        _loop.OpenPeers == 0 && _clients.TrueForAll(c => c.IsDone) && _tcpClients.TrueForAll(c => c.IsDone) && !_loop.HasPendingPosts
        && (!_loop.IsAccepting || (_network.BacklogAt(0).Waiting.Count == 0 && _network.BacklogAt(1).Waiting.Count == 0));

    private void Round()
    {
        foreach (var client in _clients)
        {
            client.Act();
        }

        foreach (var client in _tcpClients)
        {
            client.Act();
        }

        foreach (var worker in _workers)
        {
            worker.Act();
        }

        _network.Deliver();
        Misfortune();
        if (_network.IsForced || !_network.IsDelayed())
        {
            _loop.RunTurn();
            CheckAfterTurn();
        }
    }

    /// <summary>Nothing moves by itself: time has to pass. If nobody waits for it, something is stuck.</summary>
    private void WaitForTime()
    {
        var next = long.MaxValue;
        var timer = _loop.Timers.MillisecondsToNext(_network.NowMs);
        next = timer >= 0 ? _network.NowMs + Math.Max(1, timer) : next;
        foreach (var client in _clients)
        {
            next = client.WakeMs > 0 ? Math.Min(next, client.WakeMs) : next;
        }

        foreach (var worker in _workers)
        {
            next = worker.WakeMs > 0 ? Math.Min(next, worker.WakeMs) : next;
        }

        next = _nextEventMs > _network.NowMs ? Math.Min(next, _nextEventMs) : next;
        next = _cutOffMs > _network.NowMs ? Math.Min(next, _cutOffMs) : next;
        next = _listenerCutOffMs > _network.NowMs ? Math.Min(next, _listenerCutOffMs) : next;
        if (next == long.MaxValue && _loop.HasPendingPosts)
        {
            // What another configuration has posted after the last turn is done in the next one.
            return;
        }

        if (next == long.MaxValue)
        {
            throw new SimulationFailedException("something waits, and no timer runs");
        }

        _network.NowMs = next;
    }

    private void Misfortune()
    {
        MayReload();
        if (_cutOffMs >= 0 && _network.NowMs >= _cutOffMs)
        {
            _cutOffMs = -1;
            Note("world: drain deadline");
            _proxy.CutOff();
            _network.Note();
        }

        if (!_draining && _mood.Drains && (_chance.Chance(0.001) || _network.NowMs > 1_004_000))
        {
            _draining = true;
            Note("world: drain");
            if (_http.IsListening)
            {
                _loop.StopListening(_http);
            }

            _loop.StopListening(_tcp);
            _proxy.BeginDrain(300);
            _cutOffMs = _network.NowMs + _mood.Timeouts.DrainMs;
            _network.Note();
        }

        for (var pool = 0; pool < _untold.Length; pool++)
        {
            if (_untold[pool] && (_network.IsForced || _chance.Chance(0.1)))
            {
                _untold[pool] = false;
                foreach (var told in KnownToLoop(_pools[pool].Name).Append(_pools[pool]))
                {
                    _loop.Post(new PublishedWork(_proxy, told));
                }

                _network.Note();
            }
        }

        if (_mood.Unrest > 0 && (_chance.Chance(_mood.Unrest) || (_nextEventMs >= 0 && _network.NowMs >= _nextEventMs)))
        {
            _nextEventMs = -1;
            Disturb();
        }
    }

    private void Disturb()
    {
        _network.Note();
        _loop.IsOutOfDescriptors = false;
        var worker = _workers[_chance.Next(_workers.Count)];
        switch (_chance.Next(7))
        {
            case 0:
                Note($"world: {worker.Worker} dies");
                worker.Die(reset: _chance.Chance(0.5));
                Publish(worker.IsTcp ? 1 : 0);
                break;
            case 1:
                // It dies, and nobody has noticed yet.
                worker.Die(reset: _chance.Chance(0.5));
                _nextEventMs = _network.NowMs + 1 + _chance.Next(300);
                break;
            case 2:
                worker.Fate = _chance.Chance(0.25) ? ConnectFate.Refused : ConnectFate.Unanswered;
                _nextEventMs = _network.NowMs + 1 + _chance.Next(300);
                break;
            case 3:
                worker.Fate = ConnectFate.Accepted;
                Publish(worker.IsTcp ? 1 : 0);
                break;
            case 4:
                AddWorker(worker.Worker.Slot, worker.Worker.Generation + 1, worker.IsTcp);
                Publish(worker.IsTcp ? 1 : 0);
                break;
            case 5 when _mood.JumpsAhead:
                Note("world: the clock jumps");
                _network.NowMs += _chance.Next(20_000);
                break;
            default:
                _loop.IsOutOfDescriptors = _chance.Chance(0.2);
                _nextEventMs = _network.NowMs + 1 + _chance.Next(100);
                Publish(_chance.Next(2));
                break;
        }
    }

    /// <summary>A new snapshot of some of the living workers; now and then one only drains, and now and then there is none.</summary>
    private void Publish(int pool)
    {
        List<Worker> ready = [];
        List<Worker> draining = [];
        foreach (var worker in _workers)
        {
            if (worker.IsTcp != (pool == 1))
            {
                continue;
            }

            var isNewest = !_workers.Exists(w => w.IsTcp == worker.IsTcp && w.Worker.Slot == worker.Worker.Slot
                && w.Worker.Generation > worker.Worker.Generation);
            if (worker.Fate != ConnectFate.Refused && isNewest && !_chance.Chance(0.1))
            {
                ready.Add(worker.Worker);
            }
            else if (worker.Fate != ConnectFate.Refused && _chance.Chance(0.5))
            {
                draining.Add(worker.Worker);
            }
        }

        var set = new WorkerSet(ready, draining);
        Note($"world: pool {pool} has {ready.Count} ready and {draining.Count} draining workers");

        // Who publishes goes over to another pool when every loop has (Server.Reloading.cs); until then the one before passes it on.
        var known = KnownToLoop(_pools[pool].Name).FirstOrDefault(_pools[pool]);
        known.Publish(known == _pools[pool] ? set : new WorkerSet(ready.Select(known.Own), draining.Select(known.Own)));
        foreach (var worker in _workers)
        {
            if (worker.IsTcp != (pool == 1))
            {
                continue;
            }

            var isThere = set.Ready.Contains(worker.Worker) || set.Draining.Contains(worker.Worker);
            if (isThere && _pools[pool].Own(worker.Worker) is var own && own != worker.Worker)
            {
                // It came by the pool before, which knew nothing of the object that stands for it here.
                worker.Former.Add(worker.Worker);
                worker.Worker = own;
            }

            worker.RequestsWhenLeft = isThere ? -1
                : worker.RequestsWhenLeft < 0 ? worker.Worker.Requests
                : worker.RequestsWhenLeft;
        }

        _untold[pool] = true;
        _nextEventMs = _network.NowMs + 1 + _chance.Next(1_000);
    }

    private ConnectFate FateOf(Endpoint endpoint) => _workers.Find(w => w.Worker.Endpoint.Equals(endpoint))!.Fate;

    private void OnAccepted(Endpoint endpoint, SimSocket socket) => _workers.Find(w => w.Worker.Endpoint.Equals(endpoint))!.Accept(socket);

    private void OnConnecting(Endpoint endpoint)
    {
        Note($"loop: connects to {endpoint}");
        var isThere = AllPools.Where(p => _pools.Contains(p) || _proxy.PartOf(p) is not null).Any(p => Array.Exists(p.Workers.Ready, w => w.Endpoint.Equals(endpoint))
            || Array.Exists(p.Workers.Draining, w => w.Endpoint.Equals(endpoint)));
        if (!isThere)
        {
            throw new SimulationFailedException($"a connection to {endpoint}, which is not in the snapshot, is opened");
        }
    }

    private void Note(string what)
    {
        if (!_isTraced)
        {
            return;
        }

        if (_trace.Count == 4000)
        {
            _trace.Dequeue();
        }

        _trace.Enqueue($"{_network.NowMs - 1_000_000,8} ms  {what}");
    }

    private void AddWorker(int slot, int generation, bool isTcp)
    {
        var endpoint = Endpoint.Ip(new IPAddress([10, 0, (byte)(_nextWorkerAddress >> 8), (byte)_nextWorkerAddress]), 80);
        _nextWorkerAddress++;
        var worker = new Worker(isTcp ? "raw" : "app", slot, generation, endpoint, loops: 1, settings: _pools[isTcp ? 1 : 0].Settings);
        var header = _headersToWorkers[isTcp ? 1 : 0];
        _workers.Add(new SimWorker(_network, worker, _mood.Workers, isTcp, header, identity => _tcpClients[identity].Address, id => id >= 0 && id < _requests.Count
            ? _requests[id]
            : throw new SimulationFailedException($"a worker got a request {id}, which nobody sent")));
    }

    private sealed class PublishedWork(ProxyLoop proxy, Pool pool) : PostedWork
    {
        public override void Run(EventLoop loop) => proxy.OnPublished(pool);
    }
}
