using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>A request that ran ahead, at its turn, when its answer does not simply go out with others (see <see cref="HttpPipeline"/>).</summary>
internal sealed partial class HttpExchange
{
    /// <summary>The lane on which the answer comes, and that gets the connection back behind it. Null for every other exchange.</summary>
    private PipelineLane? _lane;

    /// <summary>The request was sent on <paramref name="lane"/>; its answer, or the beginning of it, may be there.</summary>
    internal void TakeOver(in PipelinedRequest request, LoopPool pool, LoopBuffer heads, PipelineLane lane)
    {
        Describe(request, pool, heads);
        _lane = lane;
        _upstreamPool = lane.Home;
        _attemptNs = request.BeganNs;
        _upstream = lane.Upstream!;
        _upstream.PassTo(this);
        _upstreamSendBroken = lane.IsSendBroken;
        _requestOnWire = lane.WasSent(request.Start);
        _answer = lane.Received;
        lane.Received = default;
        _phase = Phase.Exchanging;
        lane.RestartTimer();
        PumpAnswer();
    }

    /// <summary>
    /// The request is not, or no more, on its way to <paramref name="lane"/>'s worker. When the lane was lost before it got to answer it, the
    /// rules are those of every other retry: what was closed politely, or stale, costs nothing; what died costs budget, and is sent
    /// again only once.
    /// </summary>
    internal void SendAlone(in PipelinedRequest request, LoopPool pool, LoopBuffer heads, PipelineLane lane)
    {
        Describe(request, pool, heads);
        _requestOnWire = lane.Loss != LaneLoss.None && lane.WasSent(request.Start);
        if (lane.Loss == LaneLoss.None)
        {
            ChooseWorker(preferred: lane.Home);
            return;
        }

        if (lane.Loss == LaneLoss.Polite)
        {
            _proxy.Metrics.Retries++;
            _retryCount++;
            ChooseWorker(tried: null, fresh: false);
            return;
        }

        lane.Home!.RestFromPipelining();
        if (lane.Loss == LaneLoss.Stale)
        {
            _staleRetried = true;
            Retry(tried: null);
        }
        else if (!lane.WasSent(request.Start))
        {
            Retry(tried: lane.Home.Worker);
        }
        else if (MayRetry(RetryOn.Closed))
        {
            _retries++;
            Retry(tried: lane.Home.Worker);
        }
        else
        {
            Answer(ErrorResponses.WorkerClosed, Outcome.WorkerClosed, close: false);
        }
    }

    private void Describe(in PipelinedRequest request, LoopPool pool, LoopBuffer heads)
    {
        NoteTakenOver(request, heads);
        _route = request.Route;
        _beganNs = request.BeganNs;
        _sentNs = request.BeganNs;
        _answerDeadlineMs = Loop.NowMs + pool.Timeouts.ResponseMs;
        _method = request.Method;
        _clientVersion = HttpVersion.Http11;
        _affinity = request.Affinity;
        _priority = (byte)pool.Pool.Settings.Queue.Priority;
        _pool = pool;
        _requestBody = new BodyRelay(default, sendsChunks: false);
        heads.Retain();
        _requestBuffer = heads;
        _requestStart = request.Start;
        _requestEnd = request.End;
        _wholeRequestKept = true;
        _closeAfter = IsLast && (_client!.IsDraining || _client!.HasEnded);
    }
}
