using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Routing;

namespace FastLB.Core.Proxy;

/// <summary>
/// An HTTP/1.1 client connection and, request by request, the whole way through the balancer:
/// <list type="number">
/// <item>the connection is accepted, and its first head has a deadline;</item>
/// <item>bytes are gathered until a head is complete, and parsed strictly;</item>
/// <item>the request's meaning is checked, its route names a pool, its cookie may name a worker, its head is rewritten;</item>
/// <item>a worker is chosen, or the request waits for one;</item>
/// <item>a pooled connection to the worker is taken, or one is opened;</item>
/// <item>the request is sent, and its body follows as it arrives and as the worker takes it;</item>
/// <item>the worker's answer is read, informational answers first, even while the body is still on its way;</item>
/// <item>the answer's head is rewritten, and its body follows as it arrives and as the client takes it;</item>
/// <item>the request has its one outcome, the worker's connection goes back to its pool;</item>
/// <item>the next request begins, or the connection closes so that the last answer survives.</item>
/// </list>
/// The steps stand in this order in HttpConnection.cs (1, 2, 9, 10), .Request.cs (3 to 6) and .Answer.cs (7, 8). What goes wrong
/// on the way is told in .Failures.cs: retries, answers of our own, aborts; and what follows a 101 in .Tunnel.cs.
/// Each direction holds at most one buffer; an idle connection holds none.
/// </summary>
public sealed partial class HttpConnection : ClientConnection
{
    private enum Phase : byte
    {
        Closed,
        AwaitingHead,
        Queued,
        Connecting,
        Exchanging,
        Answering,
        Tunnel,
        Lingering,
    }

    private HttpListener? _listener;
    private Phase _phase;

    // The client's side.
    private ReceivedBytes _received;
    private int _seen;
    private bool _headTimed;
    private bool _clientEnded;
    private bool _closeAfter;
    private bool _clientClosesToo;

    // The request.
    private RequestMethod _method;
    private HttpVersion _clientVersion;
    private bool _expectsContinue;
    private bool _wantsUpgrade;
    private bool _outcomePending;
    private int _stickySlot;
    private LoopPool? _pool;
    private BodyRelay _requestBody;
    private LoopBuffer? _requestBuffer;
    private int _requestStart;
    private int _requestEnd;
    private bool _wholeRequestKept;

    // The worker's side.
    private UpstreamPool? _upstreamPool;
    private UpstreamConnection? _upstream;
    private bool _requestOnWire;
    private bool _upstreamSendBroken;
    private bool _upstreamReusable;
    private Relay? _relay;

    // The answer.
    private ReceivedBytes _answer;
    private int _answerSeen;
    private BodyRelay _answerBody;
    private bool _answerStarted;
    private bool _informationalSent;
    private bool _lastChunkDue;

    // How far sends had come when their timers last looked: silence is when nothing moved from one look to the next, which takes
    // between one and two times the limit to find out, and not when a send takes long.
    private long _clientSendSeen;
    private long _upstreamSendSeen;

    internal HttpConnection(ProxyLoop proxy)
        : base(proxy)
    {
    }

    private ListenerSettings Settings => _listener!.Settings;

    internal void Open(HttpListener listener)
    {
        Invariant.That(_phase == Phase.Closed && _received.IsEmpty && _upstream is null, "an object starts clean");
        _listener = listener;
        _phase = Phase.AwaitingHead;
    }

    // 1. Accepted: the head's deadline runs from here, whatever trickles in.
    public override void OnAccepted()
    {
        _headTimed = true;
        Loop.Timers.Arm(this, Loop.NowMs + Settings.Timeouts.HeadMs);
        if (Proxy.IsDraining)
        {
            BeginDrain(Proxy.DrainWindowMs);
        }

        Loop.Receive(this);
    }

    public override void OnReceived(LoopBuffer? buffer, int result)
    {
        if (_phase == Phase.Tunnel)
        {
            _relay!.OnClientReceived(buffer, result);
            AfterRelay();
            return;
        }

        if (result <= 0)
        {
            OnClientEnded(result);
            return;
        }

        Proxy.Metrics.BytesFromClients += result;
        if (_phase == Phase.Lingering)
        {
            Linger(buffer!, result);
            return;
        }

        if (!_received.Append(buffer!, result, Loop.Buffers))
        {
            Abort(Outcome.OutOfMemory);
            return;
        }

        if (_phase == Phase.AwaitingHead)
        {
            ReadHead();
        }
        else if (_phase == Phase.Exchanging && !_requestBody.IsComplete)
        {
            PumpRequest();
        }

        // In every other phase the bytes wait: a body for its worker, a pipelined request for its turn.
    }

    // 2. A head, complete or not.
    private void ReadHead()
    {
        var status = RequestParser.Parse(_received.Span, _seen, Settings.Limits, Proxy.RequestHead, out var refusal);
        switch (status)
        {
            case ParseStatus.Done:
                BeginRequest();
                return;

            case ParseStatus.Invalid:
                BeginOutcome();
                _clientVersion = HttpVersion.Http11;
                _method = RequestMethod.Other;
                _requestBody = default;
                Refuse(refusal);
                return;

            default:
                if (_clientEnded)
                {
                    Abort(Outcome.ClientAborted);
                    return;
                }

                _seen = _received.Length;
                if (_received.MoveUp())
                {
                    ReadHead();
                    return;
                }

                _received.Compact(Loop.Buffers);
                if (!_headTimed)
                {
                    _headTimed = true;
                    Loop.Timers.Arm(this, Loop.NowMs + Settings.Timeouts.HeadMs);
                }

                WatchClient();
                return;
        }
    }

    private void SendToClient(LoopBuffer buffer, int start, int end)
    {
        buffer.Retain();
        _clientSendSeen = start;
        Proxy.Metrics.BytesToClients += end - start;
        Loop.Timers.Arm(this, Loop.NowMs + Settings.Timeouts.BodyMs);
        Loop.Send(this, buffer, start, end);
    }

    public override void OnSent(int result)
    {
        if (_phase == Phase.Tunnel)
        {
            _relay!.OnClientSent(result);
            AfterRelay();
            return;
        }

        if (result < 0)
        {
            Abort(Outcome.ClientAborted);
            return;
        }

        switch (_phase)
        {
            case Phase.Answering:
                AfterOwnAnswer();
                break;
            case Phase.Exchanging when _lastChunkDue:
                SendLastChunk();
                break;
            case Phase.Exchanging when _answerStarted && _answerBody.IsComplete:
                FinishRequest();
                break;
            case Phase.Exchanging:
                PumpAnswer();
                break;
            default:
                Invariant.That(false, "nothing is sent in this phase");
                break;
        }
    }

    // 9. The worker has done its part as soon as its last byte is here; the client may still be reading.
    private void LeaveUpstream()
    {
        var upstream = _upstream!;
        var isQuiet = _requestBody.IsComplete && !upstream.IsSending && _answer.IsEmpty && _upstreamReusable;
        _upstreamPool!.Worker.End(Loop.Index, failed: false);
        if (isQuiet)
        {
            _upstreamPool.GiveBack(upstream);
        }
        else
        {
            // Bytes behind an answer, or a request that it did not read to the end, make the connection useless.
            _closeAfter |= SendsFromReceived(upstream);
            upstream.Forsake();
            Loop.Close(upstream);
        }

        _upstream = null;
        _upstreamPool = null;
        _answer.Release();
    }

    // 10. The next request, or the end.
    private void FinishRequest()
    {
        SetOutcome(Outcome.Completed);
        AfterAnswer();
    }

    private void AfterAnswer()
    {
        ReleaseKeptRequest();
        if (_closeAfter || !_requestBody.IsComplete || _clientEnded)
        {
            EndConnection();
            return;
        }

        _phase = Phase.AwaitingHead;
        _pool = null;
        _answerStarted = false;
        _informationalSent = false;
        ResetRetries();
        if (!_received.IsEmpty)
        {
            ReadHead();
            return;
        }

        Loop.Timers.Arm(this, Loop.NowMs + Settings.Timeouts.KeepAliveMs);
        if (Proxy.IsDraining)
        {
            // Its last answer did not say that the connection closes; a request that is on its way now still gets one that does.
            BeginDrain(Proxy.DrainWindowMs);
        }

        WatchClient();
    }

    /// <summary>Listens to the client when nothing of it is held: for its next bytes, or for its leaving.</summary>
    private void WatchClient()
    {
        if (IsOpen && !IsReceiving && !_clientEnded && (_received.IsEmpty || _phase == Phase.AwaitingHead))
        {
            Loop.Receive(this);
        }
    }

    /// <summary>
    /// Whether bytes of this request may still be on their way out of the buffer in which the client's next request waits. That one must
    /// not be rewritten in place then, so the connection ends instead.
    /// </summary>
    private bool SendsFromReceived(UpstreamConnection upstream) =>
        upstream.State.SendBuffer is { } sending && ReferenceEquals(sending, _received.Buffer);

    private void ReleaseKeptRequest()
    {
        _requestBuffer?.Release();
        _requestBuffer = null;
    }

    private void BeginOutcome()
    {
        Invariant.That(!_outcomePending, "one request at a time");
        _outcomePending = true;
        Proxy.Metrics.Requests++;
    }

    private void SetOutcome(Outcome outcome)
    {
        Invariant.That(_outcomePending, "a request has one outcome");
        _outcomePending = false;
        Proxy.Metrics.Count(outcome);
        _pool?.Count(outcome);
    }
}
