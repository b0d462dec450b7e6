using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>Who takes the request: a worker is chosen, or the request waits for one, and a connection to it is taken from the pool or opened.</summary>
internal sealed partial class HttpExchange
{
    // 4. A worker, or the queue.
    private void ChooseWorker(UpstreamPool? preferred)
    {
        if (preferred is not null && _pool!.IsServing(preferred))
        {
            // It was this request's choice already, which must not be made a second time: a strategy that takes turns would pass it over.
            Attempt(preferred, fresh: false, default);
            return;
        }

        ChooseWorker(tried: null, fresh: false);
    }

    private void ChooseWorker(Worker? tried, bool fresh, bool hasWaited = false)
    {
        Invariant.That(_upstream is null, "a request is at one worker at a time");
        _pool = _pool!.Current;
        switch (_pool!.TryChoose(_affinity, tried, hasWaited, out var chosen, out var admission))
        {
            case Choosing.Chosen:
                Attempt(chosen!, fresh, admission);
                break;
            case Choosing.Refused:
                FallBackOrAnswer(ErrorResponses.BreakerOpen, Outcome.BreakerOpen);
                break;
            default:
                WaitForWorker();
                break;
        }
    }

    private void WaitForWorker()
    {
        if (!_pool!.TryWait(_client!))
        {
            FallBackOrAnswer(ErrorResponses.QueueFull, Outcome.QueueFull);
            return;
        }

        var waitsSince = _phase == Phase.Queued;
        _phase = Phase.Queued;
        _queuedSinceNs = waitsSince ? _queuedSinceNs : Loop.NowNs;
        if (!waitsSince)
        {
            Loop.Timers.Arm(_client!, Loop.NowMs + PoolTimeouts.QueueMs);
        }

        _client!.WatchClient();
    }

    internal void OnWorkerAvailable()
    {
        Invariant.That(_phase == Phase.Queued, "only a request that waits is served from the queue");
        _queueNs += Loop.NowNs - _queuedSinceNs;
        _queuedSinceNs = Loop.NowNs;
        ChooseWorker(tried: null, fresh: !_pool!.Pool.Guards.IsGuarded, hasWaited: true);
    }

    /// <summary>The request goes on waiting, for a worker of the pool that has taken the place of its own.</summary>
    internal void OnPoolReplaced(LoopPool successor)
    {
        Invariant.That(_phase == Phase.Queued, "only a request that waits is told of another pool");
        _pool = successor;
        if (!successor.TryWait(_client!))
        {
            FallBackOrAnswer(ErrorResponses.QueueFull, Outcome.QueueFull);
        }
    }

    /// <summary>Something more important took its place in the queue.</summary>
    internal void OnDisplaced()
    {
        Invariant.That(_phase == Phase.Queued, "only a request that waits is displaced");
        FallBackOrAnswer(ErrorResponses.QueueFull, Outcome.QueueFull);
    }

    // 5. A connection to it: one that waited in the pool, or a new one.
    private void Attempt(UpstreamPool chosen, bool fresh, in Admission admission)
    {
        _upstreamPool = chosen;
        NoteAttemptBegins();
        _requestOnWire = false;
        _upstreamSendBroken = false;
        if (!fresh && !chosen.IsForOneClient && chosen.TryTakeIdle(this, careful: !IsIdempotent(_method)) is { } idle)
        {
            Loop.Timers.Arm(_client!, Loop.NowMs + ClientTimeouts.BodyMs);
            _upstream = idle;
            idle.Hold(admission);
            SendRequest();
        }
        else if (chosen.TryConnect(this) is { } connection)
        {
            Loop.Timers.Arm(_client!, Loop.NowMs + ClientTimeouts.BodyMs);
            _phase = Phase.Connecting;
            _upstream = connection;
            _connectingSinceNs = Loop.NowNs;
            connection.Hold(admission);
            Loop.Timers.Arm(connection, Loop.NowMs + PoolTimeouts.ConnectMs);
        }
        else
        {
            // The last connection that the worker may have went to another loop.
            _upstreamPool = null;
            admission.GiveBack(chosen.Pool, chosen.Worker, AttemptResult.Abandoned, Loop);
            WaitForWorker();
            return;
        }

        _client!.WatchClient();
    }

    public void OnUpstreamConnected(int result)
    {
        Invariant.That(_phase == Phase.Connecting, "a connect ends while it is awaited");
        if (result < 0)
        {
            NoteConnectFailure(result);
            _upstreamError = -result;
            RetryOrAnswer(ErrorResponses.ConnectFailed, Outcome.ConnectFailed);
            return;
        }

        _upstreamPool!.NoteConnected();
        _connectNs += Loop.NowNs - _connectingSinceNs;
        if (_pool!.Pool.Settings.ProxyProtocol != ProxyVersion.None)
        {
            SendProxyHeader();
            return;
        }

        Loop.Receive(_upstream!);
        SendRequest();
    }
}
