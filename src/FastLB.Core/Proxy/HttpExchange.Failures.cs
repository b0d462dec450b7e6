using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>
/// What can go wrong on a request's way, and how the connection ends. The rules:
/// <list type="bullet">
/// <item>a request of which no byte was sent may always go to another worker; one that was sent only if its method is
/// idempotent and all of it was kept; none once a byte of an answer was seen (RFC 9110 9.2.2);</item>
/// <item>when no worker accepts a connection, the request waits for the next one that FastLB starts;</item>
/// <item>a connection from the pool that dies unanswered was probably closed by the worker as we wrote: once, on a new
/// connection, without blaming the worker; everything else as often as configured, to another worker, within the budget, and the time
/// for an answer counts from the first attempt;</item>
/// <item>when the pool cannot serve, whoever is configured to stand in for it does;</item>
/// <item>before the answer has begun the client gets a status and a sentence; afterwards its connection is cut, so that half
/// an answer never looks whole;</item>
/// <item>a connection whose client may still be sending is closed in steps, because a reset would destroy the answer.</item>
/// </list>
/// </summary>
internal sealed partial class HttpExchange
{
    private const int MaxConnectAttempts = 3;
    private const int MaxInformational = 1_000;

    private bool _staleRetried;
    private int _retries;
    private long _answerDeadlineMs;
    private Worker? _avoided;
    private bool _queuedForSuccessor;
    private int _connectAttempts;
    private int _informationalCount;

    internal void OnClientTimer()
    {
        switch (_phase)
        {
            case Phase.Tunnel:
                OnTunnelTimer();
                break;
            case Phase.Queued:
                _pool!.Queue.Remove(_client!);
                FallBackOrAnswer(ErrorResponses.NoWorker, Outcome.NoWorker);
                break;
            case Phase.Pausing:
                Retry(_avoided);
                break;
            case Phase.Exchanging when HasRequestMoved():
                Loop.Timers.Arm(_client!, Loop.NowMs + ClientTimeouts.BodyMs);
                break;
            case Phase.Exchanging when !IsClientHoldingAnswer && IsAwaitingBody:
                if (_answerStarted)
                {
                    _client!.Abort(Outcome.ClientTimeout);
                    break;
                }

                DropUpstream(failed: false);
                Answer(ErrorResponses.BodyTimeout, Outcome.ClientTimeout, close: true);
                break;
            case Phase.Exchanging or Phase.Answering when IsClientHoldingAnswer && Loop.SendProgress(_client!) != _clientSendSeen:
                _clientSendSeen = Loop.SendProgress(_client!);
                Loop.Timers.Arm(_client!, Loop.NowMs + ClientTimeouts.BodyMs);
                break;
            case Phase.Exchanging when IsClientHoldingAnswer:
            case Phase.Answering:
                _client!.Abort(Outcome.ClientTimeout);
                break;
            default:
                // It is the worker's turn, and its own timer runs.
                Loop.Timers.Arm(_client!, Loop.NowMs + ClientTimeouts.BodyMs);
                break;
        }
    }

    /// <summary>
    /// True when the next thing to happen is that the client sends more of its body. While it waits for a 100 it is the worker's turn.
    /// </summary>
    private bool IsAwaitingBody =>
        !_requestBody.IsComplete && !_expectsContinue && _client!.Received.IsEmpty && _upstream is not null && !_upstreamSendBroken
        && (!_upstream.IsSending || (_client.IsMoving && !Loop.IsMoveAwaitingTarget(_client)));

    public void OnUpstreamTimer()
    {
        if (_phase == Phase.Connecting)
        {
            _upstreamPool!.NoteConnectFailure();
            RetryOrAnswer(ErrorResponses.ConnectTimeout, Outcome.ConnectTimeout);
        }
        else if (IsAwaitingBody || IsClientHoldingAnswer || HasAnswerMoved() || (_upstream!.IsSending && Loop.SendProgress(_upstream) != _upstreamSendSeen))
        {
            // The worker cannot go on before the client does, whose own timer runs, or it is taking the request slowly.
            _upstreamSendSeen = Loop.SendProgress(_upstream!);
            Loop.Timers.Arm(_upstream!, Loop.NowMs + PoolTimeouts.ResponseMs);
        }
        else if (_answerStarted)
        {
            Truncate(Outcome.WorkerTimeout);
        }
        else
        {
            OnAnswerLate();
        }
    }

    internal void OnClientEnded()
    {
        switch (_phase)
        {
            case Phase.Queued:
            case Phase.Pausing:
            case Phase.Connecting:
                _client!.Abort(Outcome.ClientAborted);
                break;
            case Phase.Exchanging:
                // A whole request is answered although its client sends no more. Half of one is not passed off as whole.
                _closeAfter |= IsLast;
                PumpRequest();
                break;
            default:
                _closeAfter |= IsLast;
                break;
        }
    }

    private void OnUpstreamEnded(int result)
    {
        if (!_answerStarted)
        {
            _upstreamError = -result;
            if (!_answer.IsEmpty)
            {
                _attemptEnd = AttemptEnd.AnswerBrokeOff;
                // Part of a head is no answer, but the worker has acted on the request.
                DropUpstream(failed: true);
                Answer(ErrorResponses.WorkerClosed, Outcome.WorkerClosed, close: false);
                return;
            }

            RetryOrAnswer(ErrorResponses.WorkerClosed, Outcome.WorkerClosed);
            return;
        }

        if (result < 0 || !_answerBody.EndsWithConnection)
        {
            Truncate(Outcome.WorkerTruncated);
            return;
        }

        _answerBody.EndWithConnection();
        _lastChunkDue = _answerBody.NeedsLastChunk;
        _upstreamReusable = false;
        LeaveUpstream();
        if (_client!.IsSending)
        {
            return;
        }

        if (_lastChunkDue)
        {
            SendLastChunk();
        }
        else
        {
            FinishRequest();
        }
    }

    /// <summary>No byte of an answer came in time: in that of this attempt, or in that of all of them.</summary>
    private void OnAnswerLate()
    {
        if (Loop.NowMs >= _answerDeadlineMs || Retries.AttemptMs == 0 || _lane is not null)
        {
            _attemptEnd = AttemptEnd.AnswerLate;
            DropUpstream(failed: true);
            Answer(ErrorResponses.ResponseTimeout, Outcome.WorkerTimeout, close: false);
        }
        else if (_answer.IsEmpty && !_informationalSent && _requestBuffer is not null && _wholeRequestKept && IsIdempotent(_method)
            && MayRetry(RetryOn.Timeout))
        {
            _attemptEnd = AttemptEnd.AnswerLate;
            RetrySent(_upstreamPool!.Worker);
        }
        else
        {
            Loop.Timers.Arm(_upstream!, _answerDeadlineMs);
        }
    }

    /// <summary>The attempt failed before any byte of an answer came. Another one is made if that is safe, otherwise this is the end.</summary>
    private void RetryOrAnswer(ErrorResponse response, Outcome outcome)
    {
        var worker = _upstreamPool!.Worker;
        if (outcome == Outcome.WorkerClosed)
        {
            _upstreamPool.DiscardIdle();
        }

        var isStale = _upstream!.IsReused && outcome == Outcome.WorkerClosed && _lane is not { HasAnswered: true };
        _attemptEnd = EndOf(outcome, isStale);
        var isSafe = !_informationalSent && _requestBuffer is not null
            && (!_requestOnWire || (_wholeRequestKept && IsIdempotent(_method)));
        if (isSafe && isStale && !_staleRetried)
        {
            _staleRetried = true;
            DropUpstream(failed: false);
            Retry(tried: null);
        }
        else if (isSafe && !_requestOnWire)
        {
            RetryConnect(worker, response, outcome);
        }
        else if (isSafe && MayRetry(RetryOn.Closed))
        {
            RetrySent(worker);
        }
        else
        {
            DropUpstream(failed: true);
            Answer(response, outcome, close: false);
        }
    }

    /// <summary>Whether one more attempt is configured for such a failure, affordable, and still in time for its answer.</summary>
    private bool MayRetry(RetryOn failure)
    {
        var settings = Retries;
        return _retries < settings.Attempts && (settings.On & failure) != 0
            && (_retries == 0 || Loop.NowMs < _answerDeadlineMs) && _pool!.Budget.TryWithdraw(Loop.NowMs);
    }

    /// <summary>
    /// The request was sent and may be sent again, to another worker if there is one. That one did nothing wrong, so the first retry goes at once;
    /// later ones, and those to a lone worker, wait for a random time, so that many clients do not come back together.
    /// </summary>
    private void RetrySent(Worker worker)
    {
        var settings = Retries;
        DropUpstream(failed: true);
        _avoided = worker;
        _retries++;
        var pauseMs = _retries == 1 && _pool!.CanPickOther(worker) ? 0 : Backoff.DelayMs(_retries - 1, settings.BackoffMs, settings.MaxBackoffMs, Loop.Random);
        if (pauseMs == 0)
        {
            Retry(worker);
            return;
        }

        _phase = Phase.Pausing;
        Loop.Timers.Arm(_client!, Loop.NowMs + pauseMs);
        _client!.WatchClient();
    }

    /// <summary>
    /// An answer whose status is configured to be tried again instead of being passed on. Nothing of it has reached the client. False, and
    /// nothing happened, when it has to be passed on.
    /// </summary>
    private bool TryRetryStatus(int status)
    {
        var failure = status switch
        {
            502 => RetryOn.Status502,
            503 => RetryOn.Status503,
            504 => RetryOn.Status504,
            _ => RetryOn.None,
        };
        if (failure == RetryOn.None || _informationalSent || _lane is not null || _requestBuffer is null || !_wholeRequestKept || !IsIdempotent(_method)
            || !MayRetry(failure))
        {
            return false;
        }

        _attemptEnd = AttemptEnd.StatusRetried;
        _status = (short)status;
        RetrySent(_upstreamPool!.Worker);
        return true;
    }

    /// <summary>The pool cannot serve a request of which nothing was sent: whoever stands in for it does, or it is answered with an error.</summary>
    private void FallBackOrAnswer(ErrorResponse response, Outcome outcome)
    {
        var pool = _pool!;
        if (pool.Fallback is { } standIn && _requestBuffer is not null && !_requestOnWire && !_informationalSent)
        {
            pool.Counters.Fallbacks++;
            NoteFallback(pool);
            _pool = standIn;
            _pool.Counters.Requests++;
            _pool.Budget.Deposit();

            // The head is gone, and with it what the other pool might go by; any worker of it will do.
            _affinity = Affinity.None with { Key = Loop.Random.NextUInt64() };
            _connectAttempts = 0;
            _queuedForSuccessor = false;
            _phase = Phase.Beginning;
            _pool.Refresh();
            ChooseWorker(tried: null, fresh: false);
            return;
        }

        if (pool.Pool.Settings.Fallback?.Answer is { } prepared)
        {
            pool.Counters.Fallbacks++;
            response = prepared;
        }

        Answer(response, outcome, close: false);
    }

    /// <summary>
    /// Nothing was sent, so nothing speaks against other workers, a bounded number of them. When all of them refuse and FastLB runs
    /// them, it is about to notice that they are gone, and the request waits for their successors like one that came later.
    /// </summary>
    private void RetryConnect(Worker worker, ErrorResponse response, Outcome outcome)
    {
        DropUpstream(failed: true);
        _pool = _pool!.Current;
        _connectAttempts++;
        if (_connectAttempts < MaxConnectAttempts && _pool!.CanPickOther(worker))
        {
            Retry(tried: worker);
        }
        else if (worker.Generation > 0 && !_queuedForSuccessor && _pool!.TryWait(_client!))
        {
            _queuedForSuccessor = true;
            _queuedSinceNs = Loop.NowNs;
            _phase = Phase.Queued;
            Loop.Timers.Arm(_client!, Loop.NowMs + PoolTimeouts.QueueMs);
            _client!.WatchClient();
        }
        else
        {
            FallBackOrAnswer(response, outcome);
        }
    }

    /// <summary>A worker is blamed for a connect that failed, but not for the balancer's own want of descriptors, ports or memory.</summary>
    private void NoteConnectFailure(int result)
    {
        if (!IoError.IsLocalExhaustion(-result))
        {
            _upstreamPool!.NoteConnectFailure();
        }
    }

    private static bool IsIdempotent(RequestMethod method) => method is RequestMethod.Get or RequestMethod.Head
        or RequestMethod.Put or RequestMethod.Delete or RequestMethod.Options or RequestMethod.Trace;

    private void Retry(Worker? tried)
    {
        _proxy.Metrics.Retries++;
        _retryCount++;
        ChooseWorker(tried, fresh: true);
    }

    /// <summary>The answer has begun and cannot go on.</summary>
    private void Truncate(Outcome outcome)
    {
        _attemptEnd = EndOf(outcome, isStale: false);
        DropUpstream(failed: true);
        _client!.Abort(outcome);
    }

    /// <summary>The client's connection ends now, whatever has become of the request.</summary>
    internal void GiveUp(Outcome outcome)
    {
        if (_phase == Phase.Queued)
        {
            _pool!.Queue.Remove(_client!);
        }

        if (_outcomePending)
        {
            SetOutcome(outcome);
        }

        DropUpstream(failed: false);
        _phase = Phase.Ended;
    }

    /// <summary>Gives up the worker's connection in the middle of an exchange.</summary>
    private void DropUpstream(bool failed)
    {
        if (_upstream is not { } upstream)
        {
            return;
        }

        _closeAfter |= SendsFromReceived(upstream);
        NoteAttempt(_attemptEnd);
        if (_lane is { } lane)
        {
            // With it goes what else it owes, which is sent again at its turn.
            _lane = null;
            lane.Lose(failed ? LaneLoss.Died : LaneLoss.Stale);
        }
        else
        {
            upstream.Forsake(failed);
            Loop.Close(upstream, reset: true);
        }

        _upstream = null;
        _upstreamPool = null;
        _answer.Release();
        _answerSeen = 0;
    }
}
