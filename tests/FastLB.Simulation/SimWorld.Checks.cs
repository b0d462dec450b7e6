using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;

namespace FastLB.Simulation;

/// <summary>What must hold after every turn of the loop, and what must be left when everything is over.</summary>
internal sealed partial class SimWorld
{
    private readonly Dictionary<Endpoint, long> _served = [];

    private void CheckAfterTurn()
    {
        _served.Clear();
        var pending = 0;
        foreach (var peer in _loop.Peers)
        {
            if (peer is UpstreamConnection upstream)
            {
                Require(upstream.IsTimerArmed || upstream.Owner?.Client.IsTimerArmed == true, "a worker's connection waits without a timer");
                Require(upstream.IsReceiving || upstream.Owner is not null, "an idle connection does not listen");
                Require(upstream.Owner is not null == upstream.Owed > 0, $"a connection that owes {upstream.Owed} answers {(upstream.Owner is null ? "is nobody's" : "has an owner")}");
                if (upstream.Owner is not null)
                {
                    var worker = upstream.Home!.Worker.Endpoint;
                    _served[worker] = _served.GetValueOrDefault(worker) + upstream.Owed;
                }

                continue;
            }

            pending += peer is HttpConnection http ? http.PendingRequests : 1;
            Require(peer.IsTimerArmed, $"a {peer.GetType().Name} waits without a timer");
        }

        foreach (var worker in _workers)
        {
            Require(worker.Worker.InFlight == _served.GetValueOrDefault(worker.Worker.Endpoint), $"{worker.Worker} counts {worker.Worker.InFlight} in flight, and {_served.GetValueOrDefault(worker.Worker.Endpoint)} are");
            Require(worker.RequestsWhenLeft < 0 || worker.Worker.Requests == worker.RequestsWhenLeft,
                $"{worker.Worker} got a request after it had left");
        }

        ReadRecords(all: false);
        CheckGuards();
        var unended = Begun() - Ended();
        Require(unended == pending, $"{unended} requests have no outcome, and connections have {pending}");
    }

    /// <summary>No limit is exceeded, and places are held by those that are there.</summary>
    private void CheckGuards()
    {
        foreach (var worker in _workers)
        {
            var held = worker.Worker.RequestLimit?.InUse ?? 0;

            // Under other settings before, requests that are still there hold other places, or none.
            Require(worker.Worker.RequestLimit is not { } limit || (held <= limit.Limit && (held == worker.Worker.InFlight || worker.Former.Count > 0)), $"{worker.Worker} has {worker.Worker.InFlight} in flight and {held} places are held");
            Require(worker.Worker.ConnectionLimit is not { } connections || connections.InUse <= connections.Limit, $"{worker.Worker} has {worker.Worker.ConnectionLimit?.InUse} connections");
        }

        foreach (var pool in AllPools)
        {
            Require(pool.Guards.ConnectionLimit is not { } most || most.InUse <= most.Limit, $"pool {pool.Name} has {pool.Guards.ConnectionLimit?.InUse} connections");
            Require(pool.Guards.RequestLimit is not { } limit || (limit.InUse <= limit.Limit && limit.InUse == pool.InFlight.Total), $"pool {pool.Name} has {pool.InFlight.Total} in flight and {pool.Guards.RequestLimit?.InUse} places are held");
        }
    }

    private long Begun() => _proxy.Metrics.Requests + _proxy.Metrics.TcpConnections;

    private long Ended() => Enum.GetValues<Outcome>().Sum(_proxy.Metrics.Of);

    private void CheckAtRest()
    {
        Require(_loop.Buffers.Rented == 0, $"{_loop.Buffers.Rented} buffers were not given back");
        Require(_loop.Timers.Count == 0, $"{_loop.Timers.Count} timers still run");
        Require(_proxy.OpenCount == 0 && _proxy.Metrics.UpstreamOpen == 0, "connections are still counted as open");
        Require(Begun() == Ended(), $"{Begun()} requests began and {Ended()} ended");
        foreach (var pool in _proxy.Pools)
        {
            Require(pool.Queue.Length == 0, "somebody still waits in the queue");
            var outcomes = Enum.GetValues<Outcome>().Sum(pool.Counters.Of);
            Require(pool.Counters.Requests == outcomes, $"pool {pool.Pool.Name} counts {pool.Counters.Requests} requests and {outcomes} outcomes");
        }

        foreach (var worker in _workers.SelectMany(w => w.Former.Append(w.Worker)))
        {
            Require(worker.RequestLimit?.InUse is null or 0 && worker.ConnectionLimit?.InUse is null or 0, $"{worker} still has places taken");
            Require(worker.Breaker?.ProbesUnderWay is null or 0, $"{worker} waits for a probe that is over");
        }

        Require(_former.All(f => f.Part?.Queue.Length is null or 0), "somebody still waits for a pool that is gone");
        Require(AllPools.All(p => p.Guards.ConnectionLimit?.InUse is null or 0 && p.Guards.RequestLimit?.InUse is null or 0), "a pool still has places taken");
        Require(!_draining || _proxy.IsDrained, "the drain did not end");
        CheckTunnels();
        CheckRecords();
        if (_mood.IsCalm)
        {
            CheckCalm();
        }
    }

    /// <summary>Where nobody did anything wrong, everything was answered.</summary>
    private void CheckCalm()
    {
        foreach (var request in _requests)
        {
            Require(request.LocalStatus > 0 ? request.AnsweredStatus == request.LocalStatus : request.IsAnsweredByWorker, $"{request.Method} {request.Id} got {(request.IsAnswered ? request.AnsweredStatus : "no answer")} on a calm day: {request.Complaint}");
        }

        foreach (var client in _tcpClients)
        {
            Require(client.SawCleanEnd && client.BytesRead == client.Length, $"TCP client {client.Identity} got {client.BytesRead} of {client.Length} bytes on a calm day");
        }
    }

    /// <summary>A stream that ended cleanly is a whole one: its worker ended it there.</summary>
    private void CheckTunnels()
    {
        foreach (var client in _tcpClients)
        {
            if (client.SawCleanEnd && client.BytesRead != client.Length && !client.IsShutOut)
            {
                throw new SimulationFailedException($"TCP client {client.Identity} saw a clean end after {client.BytesRead} of {client.Length} bytes");
            }
        }

        foreach (var client in _clients)
        {
            if (client.TunnelRequest is { } request && client.SawCleanEnd && !client.IsToldToClose && client.TunnelRead != request.BodyLength)
            {
                throw new SimulationFailedException($"the tunnel of {request.Id} ended cleanly after {client.TunnelRead} of {request.BodyLength} bytes");
            }
        }
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new SimulationFailedException(otherwise);
        }
    }
}
