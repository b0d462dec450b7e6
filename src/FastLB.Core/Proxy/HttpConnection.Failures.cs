using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// What can go wrong on a request's way, and how the connection ends. The rules:
/// <list type="bullet">
/// <item>a request of which no byte was sent may always go to another worker; one that was sent only if its method is
/// idempotent and all of it was kept; none once a byte of an answer was seen (RFC 9110 9.2.2);</item>
/// <item>when no worker accepts a connection, the request waits for the next one that FastLB starts;</item>
/// <item>a connection from the pool that dies unanswered was probably closed by the worker as we wrote: once, on a new
/// connection, without blaming the worker; everything else once, to another worker, within the budget;</item>
/// <item>before the answer has begun the client gets a status and a sentence; afterwards its connection is cut, so that half
/// an answer never looks whole;</item>
/// <item>a connection whose client may still be sending is closed in steps, because a reset would destroy the answer.</item>
/// </list>
/// </summary>
public sealed partial class HttpConnection
{
    private const int LingerMs = 2_000;
    private const int LingerBytes = 1024 * 1024;
    private const int MaxConnectAttempts = 3;
    private const int MaxInformational = 1_000;

    private bool _staleRetried;
    private bool _redispatched;
    private bool _queuedForSuccessor;
    private int _connectAttempts;
    private int _informationalCount;
    private int _lingeredBytes;
    private ErrorResponse? _dueAnswer;

    public override void OnTimer()
    {
        switch (_phase)
        {
            case Phase.Tunnel when _relay!.HasMoved():
                AfterRelay();
                break;
            case Phase.Tunnel:
                // Nobody has said that this was all, so nobody may take it for that.
                SetOutcome(Outcome.Completed);
                CloseBoth(reset: true);
                break;
            case Phase.AwaitingHead when _received.IsEmpty:
                // Idle, or connected in advance and never used: nothing was asked, so nothing is answered.
                EndIdle();
                break;
            case Phase.AwaitingHead:
                BeginOutcome();
                _clientVersion = HttpVersion.Http11;
                _method = RequestMethod.Other;
                _requestBody = default;
                Answer(ErrorResponses.HeadTimeout, Outcome.ClientTimeout, close: true);
                break;
            case Phase.Queued:
                _pool!.Queue.Remove(this);
                Answer(ErrorResponses.NoWorker, Outcome.NoWorker, close: false);
                break;
            case Phase.Exchanging when !IsSending && IsAwaitingBody:
                if (_answerStarted)
                {
                    Abort(Outcome.ClientTimeout);
                    break;
                }

                DropUpstream(failed: false);
                Answer(ErrorResponses.BodyTimeout, Outcome.ClientTimeout, close: true);
                break;
            case Phase.Exchanging or Phase.Answering when IsSending && Loop.SendProgress(this) != _clientSendSeen:
                _clientSendSeen = Loop.SendProgress(this);
                Loop.Timers.Arm(this, Loop.NowMs + Settings.Timeouts.BodyMs);
                break;
            case Phase.Exchanging when IsSending:
            case Phase.Answering:
                Abort(Outcome.ClientTimeout);
                break;
            case Phase.Lingering:
                Loop.Close(this);
                break;
            default:
                // It is the worker's turn, and its own timer runs.
                Loop.Timers.Arm(this, Loop.NowMs + Settings.Timeouts.BodyMs);
                break;
        }
    }

    /// <summary>
    /// True when the next thing to happen is that the client sends more of its body. While it waits for a 100 it is the worker's turn.
    /// </summary>
    private bool IsAwaitingBody =>
        !_requestBody.IsComplete && !_expectsContinue && _received.IsEmpty && _upstream is { IsSending: false } && !_upstreamSendBroken;

    internal override void OnUpstreamTimer()
    {
        if (_phase == Phase.Connecting)
        {
            _upstreamPool!.NoteConnectFailure();
            RetryOrAnswer(ErrorResponses.ConnectTimeout, Outcome.ConnectTimeout);
        }
        else if (IsAwaitingBody || IsSending || (_upstream!.IsSending && Loop.SendProgress(_upstream) != _upstreamSendSeen))
        {
            // The worker cannot go on before the client does, whose own timer runs, or it is taking the request slowly.
            _upstreamSendSeen = Loop.SendProgress(_upstream!);
            Loop.Timers.Arm(_upstream!, Loop.NowMs + _pool!.Timeouts.ResponseMs);
        }
        else if (_answerStarted)
        {
            Truncate(Outcome.WorkerTimeout);
        }
        else
        {
            DropUpstream(failed: true);
            Answer(ErrorResponses.ResponseTimeout, Outcome.WorkerTimeout, close: false);
        }
    }

    private void OnClientEnded(int result)
    {
        _clientEnded = true;
        if (result < 0)
        {
            Abort(Outcome.ClientAborted);
            return;
        }

        switch (_phase)
        {
            case Phase.AwaitingHead when _received.IsEmpty:
                EndIdle();
                break;
            case Phase.AwaitingHead:
            case Phase.Queued:
            case Phase.Connecting:
                Abort(Outcome.ClientAborted);
                break;
            case Phase.Exchanging:
                // A whole request is answered although its client sends no more. Half of one is not passed off as whole.
                _closeAfter = true;
                PumpRequest();
                break;
            case Phase.Lingering:
                Loop.Close(this);
                break;
            default:
                _closeAfter = true;
                break;
        }
    }

    private void OnUpstreamEnded(int result)
    {
        if (!_answerStarted)
        {
            if (!_answer.IsEmpty)
            {
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
        if (IsSending)
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

    private void SendLastChunk()
    {
        _lastChunkDue = false;
        var lastChunk = "0\r\n\r\n"u8;
        if (Loop.Buffers.TryRent(lastChunk.Length) is not { } buffer)
        {
            Truncate(Outcome.OutOfMemory);
            return;
        }

        lastChunk.CopyTo(buffer.Memory.AsSpan(LoopBuffer.DataOffset));
        SendToClient(buffer, LoopBuffer.DataOffset, LoopBuffer.DataOffset + lastChunk.Length);
        buffer.Release();
    }

    /// <summary>The attempt failed before any byte of an answer came. Another one is made if that is safe, otherwise this is the end.</summary>
    private void RetryOrAnswer(ErrorResponse response, Outcome outcome)
    {
        var worker = _upstreamPool!.Worker;
        if (outcome == Outcome.WorkerClosed)
        {
            _upstreamPool.DiscardIdle();
        }

        var isStale = _upstream!.IsReused && outcome == Outcome.WorkerClosed;
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
        else if (isSafe && !_redispatched && _pool!.Budget.TryWithdraw(Loop.NowMs))
        {
            _redispatched = true;
            DropUpstream(failed: true);
            Retry(tried: worker);
        }
        else
        {
            DropUpstream(failed: true);
            Answer(response, outcome, close: false);
        }
    }

    /// <summary>
    /// Nothing was sent, so nothing speaks against other workers, a bounded number of them. When all of them refuse and FastLB runs
    /// them, it is about to notice that they are gone, and the request waits for their successors like one that came later.
    /// </summary>
    private void RetryConnect(Worker worker, ErrorResponse response, Outcome outcome)
    {
        DropUpstream(failed: true);
        _connectAttempts++;
        if (_connectAttempts < MaxConnectAttempts && _pool!.CanPickOther(worker))
        {
            Retry(tried: worker);
        }
        else if (worker.Generation > 0 && !_queuedForSuccessor && _pool!.Queue.TryEnqueue(this))
        {
            _queuedForSuccessor = true;
            _phase = Phase.Queued;
            Loop.Timers.Arm(this, Loop.NowMs + _pool.Timeouts.QueueMs);
            WatchClient();
        }
        else
        {
            Answer(response, outcome, close: false);
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
        Proxy.Metrics.Retries++;
        ChooseWorker(tried, fresh: true);
    }

    private void ResetRetries()
    {
        _staleRetried = false;
        _redispatched = false;
        _queuedForSuccessor = false;
        _connectAttempts = 0;
        _informationalCount = 0;
    }

    private void Refuse(Refusal refusal) => Answer(ErrorResponses.Of(refusal), Outcome.ClientMalformed, close: true);

    /// <summary>The body broke the rules after its head was passed on.</summary>
    private void RefuseBody(Refusal refusal)
    {
        if (_answerStarted)
        {
            Abort(Outcome.ClientMalformed);
            return;
        }

        DropUpstream(failed: false);
        Refuse(refusal);
    }

    /// <summary>The worker's answer cannot be passed on; nothing of it has been.</summary>
    private void FailAnswer()
    {
        DropUpstream(failed: true);
        Answer(ErrorResponses.BadAnswer, Outcome.WorkerMalformed, close: false);
    }

    /// <summary>The answer has begun and cannot go on.</summary>
    private void Truncate(Outcome outcome)
    {
        DropUpstream(failed: true);
        Abort(outcome);
    }

    /// <summary>
    /// Answers the request ourselves. The outcome is decided here. A request whose body was not read to the end takes its connection with it.
    /// </summary>
    private void Answer(ErrorResponse response, Outcome outcome, bool close)
    {
        Invariant.That(_upstream is null && !_answerStarted, "our own answer stands alone");
        SetOutcome(outcome);
        _phase = Phase.Answering;
        _closeAfter |= close || !_requestBody.IsComplete || Proxy.IsDraining;
        ReleaseKeptRequest();
        if (IsSending)
        {
            // An informational answer is still on its way out.
            _dueAnswer = response;
            return;
        }

        SendOwnAnswer(response);
    }

    private void SendOwnAnswer(ErrorResponse response)
    {
        var bytes = response.Bytes(_closeAfter, _method == RequestMethod.Head, _clientVersion);
        if (Loop.Buffers.TryRent(bytes.Length) is not { } buffer)
        {
            Abort(Outcome.OutOfMemory);
            return;
        }

        bytes.CopyTo(buffer.Memory.AsSpan(LoopBuffer.DataOffset));
        Proxy.Metrics.CountResponse(response.Status);
        SendToClient(buffer, LoopBuffer.DataOffset, LoopBuffer.DataOffset + bytes.Length);
        buffer.Release();
    }

    private void AfterOwnAnswer()
    {
        if (_dueAnswer is { } due)
        {
            _dueAnswer = null;
            SendOwnAnswer(due);
            return;
        }

        AfterAnswer();
    }

    /// <summary>Ends request and connection at once. What the client has of an answer is cut off visibly.</summary>
    private void Abort(Outcome outcome)
    {
        if (_phase == Phase.Queued)
        {
            _pool!.Queue.Remove(this);
        }

        if (_outcomePending)
        {
            SetOutcome(outcome);
        }

        DropUpstream(failed: false);
        Loop.Close(this, reset: true);
    }

    /// <summary>Gives up the worker's connection in the middle of an exchange.</summary>
    private void DropUpstream(bool failed)
    {
        if (_upstream is not { } upstream)
        {
            return;
        }

        _closeAfter |= SendsFromReceived(upstream);
        _upstreamPool!.Worker.End(Loop.Index, failed);
        upstream.Forsake();
        Loop.Close(upstream, reset: true);
        _upstream = null;
        _upstreamPool = null;
        _answer.Release();
        _answerSeen = 0;
    }

    /// <summary>Closes after the last answer, in steps unless the client has nothing more to say (RFC 9112 9.6).</summary>
    private void EndConnection()
    {
        var clientIsDone = _clientEnded || (_clientClosesToo && _requestBody.IsComplete && _received.IsEmpty);
        _received.Release();
        if (clientIsDone)
        {
            Loop.Close(this);
            return;
        }

        _phase = Phase.Lingering;
        _lingeredBytes = 0;
        Loop.ShutdownSend(this);
        Loop.Timers.Arm(this, Loop.NowMs + LingerMs);
        if (!IsReceiving)
        {
            Loop.Receive(this);
        }
    }

    private void Linger(LoopBuffer buffer, int length)
    {
        buffer.Release();
        _lingeredBytes += length;
        if (_lingeredBytes > LingerBytes)
        {
            Loop.Close(this);
            return;
        }

        Loop.Receive(this);
    }

    private void EndIdle() => Loop.Close(this);

    internal override void BeginDrain(int windowMs)
    {
        if (_phase == Phase.AwaitingHead && _received.IsEmpty && IsOpen)
        {
            Loop.Timers.Arm(this, Loop.NowMs + 1 + Loop.Random.Next(Math.Max(1, windowMs)));
        }
    }

    internal override void CutOff()
    {
        if (IsOpen)
        {
            Abort(Outcome.DrainDeadline);
        }
    }

    public override void OnClosed()
    {
        Invariant.That(!_outcomePending && _upstream is null && !IsQueued, "a connection closes after its request has ended");
        _received.Release();
        _answer.Release();
        ReleaseKeptRequest();
        if (_relay is { } relay)
        {
            _relay = null;
            Proxy.Recycle(relay);
        }

        _phase = Phase.Closed;
        _listener = null;
        _pool = null;
        _dueAnswer = null;
        _seen = 0;
        _answerSeen = 0;
        _headTimed = false;
        _clientEnded = false;
        _closeAfter = false;
        _clientClosesToo = false;
        _answerStarted = false;
        _informationalSent = false;
        _lastChunkDue = false;
        ResetRetries();
        Proxy.Recycle(this);
    }
}
