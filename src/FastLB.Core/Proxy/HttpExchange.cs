using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>
/// One request and its answer: everything that a connection needs only while it is busy. It is rented when a head is complete (or
/// refused) and given back when the answer is out. Its steps are those that <see cref="HttpConnection"/> counts: .Request.cs (and .Choosing.cs)
/// has 3 to 6, .Answer.cs 7 and 8, .Moving.cs how large bodies go, this file 9. What goes wrong on the way is told in .Failures.cs, the balancer's own answers
/// stand in .OwnAnswer.cs, what a route changes in .Routed.cs, what follows a 101 in .Tunnel.cs, and what is written down of all that in .Recording.cs.
/// <para>
/// A call that ends the exchange (<see cref="FinishRequest"/>, an abort) may begin the connection's next one in the same object, so
/// it is the last thing that its caller does.
/// </para>
/// </summary>
internal sealed partial class HttpExchange : IUpstreamOwner
{
    private enum Phase : byte
    {
        Beginning,
        Queued,
        Pausing,
        Connecting,
        Exchanging,
        Answering,
        Tunnel,
        Ended,
    }

    private readonly ProxyLoop _proxy;
    private HttpConnection? _client;
    private Phase _phase;

    // The request.
    private RequestMethod _method;
    private HttpVersion _clientVersion;
    private bool _expectsContinue;
    private bool _wantsUpgrade;
    private bool _clientClosesToo;
    private bool _outcomePending;
    private long _beganNs;
    private Affinity _affinity;
    private byte _priority;
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
    private long _sentNs;
    private bool _upstreamSendBroken;
    private bool _upstreamStaysOpen;
    private bool _upstreamReusable;
    private Relay? _relay;

    // The answer.
    private ReceivedBytes _answer;
    private int _answerSeen;
    private BodyRelay _answerBody;
    private bool _answerStarted;
    private bool _informationalSent;
    private bool _lastChunkDue;
    private bool _closeAfter;
    private ErrorResponse? _dueAnswer;
    private RateLimit? _exceeded;
    private RateVerdict _verdict;

    // How far sends had come when their timers last looked: silence is when nothing moved from one look to the next, which takes
    // between one and two times the limit to find out, and not when a send takes long.
    private long _clientSendSeen;
    private long _upstreamSendSeen;

    internal HttpExchange(ProxyLoop proxy) => _proxy = proxy;

    public ClientConnection Client => _client!;

    /// <summary>Where the request stands in its pool's queue, from 0 to 7, the greatest first.</summary>
    internal int Priority => _priority;

    /// <summary>The pool that answers, once it is known.</summary>
    internal LoopPool? Pool => _pool;

    internal bool IsTunnel => _phase == Phase.Tunnel;

    /// <summary>True until the request has its outcome.</summary>
    internal bool IsPending => _outcomePending;

    private EventLoop Loop => _proxy.Loop;

    private Timeouts ClientTimeouts => _route?.ClientTimeouts ?? _client!.Timeouts;

    /// <summary>False when answers of the client's pipeline follow, so that the connection cannot end here.</summary>
    private bool IsLast => !_client!.HasMoreAhead;

    /// <summary>A request has begun, and with it the wait for its one outcome.</summary>
    internal void Open(HttpConnection client)
    {
        Invariant.That(_client is null && _upstream is null && _answer.IsEmpty, "an object starts clean");
        _client = client;
        _outcomePending = true;
        _beganNs = Loop.NowNs;

        // What a refused head leaves unsaid.
        _method = RequestMethod.Other;
        _clientVersion = HttpVersion.Http11;
    }

    internal void OnClientReceived()
    {
        if (_phase == Phase.Exchanging && !_requestBody.IsComplete)
        {
            PumpRequest();
        }

        // In every other phase the bytes wait: a body for its worker, a pipelined request for its turn.
    }

    internal void OnClientSent(int result)
    {
        if (_phase == Phase.Tunnel)
        {
            _relay!.OnClientSent(result);
            AfterRelay();
            return;
        }

        if (result < 0)
        {
            _client!.Abort(Outcome.ClientAborted);
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

    private void SendToClient(LoopBuffer buffer, int start, int end)
    {
        buffer.Retain();
        _clientSendSeen = start;
        _proxy.Metrics.BytesToClients += end - start;
        _bytesOut += end - start;
        Loop.Timers.Arm(_client!, Loop.NowMs + ClientTimeouts.BodyMs);
        Loop.Send(_client!, buffer, start, end);
    }

    // 9. The worker has done its part as soon as its last byte is here; the client may still be reading.
    private void LeaveUpstream()
    {
        var upstream = _upstream!;
        var isQuiet = _requestBody.IsComplete && !upstream.IsSending && _answer.IsEmpty && _upstreamReusable;
        upstream.Settle(failed: false);
        if (_story is not null)
        {
            NoteAttempt(AttemptEnd.LastOne);
        }

        if (_lane is { } lane)
        {
            _lane = null;
            lane.TakeBack(_answer, _upstreamStaysOpen, mayStay: _upstreamReusable);
            _answer = default;
        }
        else if (isQuiet)
        {
            _upstreamPool!.GiveBack(upstream);
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

    /// <summary>
    /// Whether bytes of this request may still be on their way out of the buffer in which the client's next request waits. That one must
    /// not be rewritten in place then, so the connection ends instead.
    /// </summary>
    private bool SendsFromReceived(UpstreamConnection upstream) =>
        upstream.State.SendBuffer is { } sending && ReferenceEquals(sending, _client!.Received.Buffer);

    private void FinishRequest()
    {
        SetOutcome(Outcome.Completed);
        _endedNs = Loop.ReadClockNs();
        _proxy.Metrics.RequestNanoseconds.Record(_endedNs - _beganNs);
        EndExchange();
    }

    private void EndExchange()
    {
        var isWhole = _requestBody.IsComplete;
        _phase = Phase.Ended;
        _client!.EndExchange(
            close: _closeAfter || !isWhole || (_client.HasEnded && IsLast),
            saidLast: _clientClosesToo && isWhole);
    }

    private void SetOutcome(Outcome outcome)
    {
        Invariant.That(_outcomePending, "a request has one outcome");
        _outcomePending = false;
        _proxy.Metrics.Count(outcome);
        _pool?.Counters.Count(outcome);
        _outcome = outcome;
        if (outcome is not (Outcome.Completed or Outcome.AnsweredHere))
        {
            NoteFailure(outcome);
        }
    }

    private void ReleaseKeptRequest()
    {
        _requestBuffer?.Release();
        _requestBuffer = null;
    }

    /// <summary>Makes the object ready for another request, of whatever connection.</summary>
    internal void Reset()
    {
        Invariant.That(!_outcomePending && _upstream is null && _lane is null, "an exchange is over when its request has ended");
        WriteDown();
        _answer.Release();
        ReleaseKeptRequest();
        if (_relay is { } relay)
        {
            _relay = null;
            _pool!.Counters.Tunnels.Open--;
            _proxy.Recycle(relay);
        }

        _client = null;
        ForgetForwarding();
        _phase = Phase.Beginning;
        _expectsContinue = false;
        _wantsUpgrade = false;
        ForgetTunnel();
        _clientClosesToo = false;
        _pool = null;
        ForgetRoute();
        _requestBody = default;
        _requestOnWire = false;
        _answerSeen = 0;
        _answerStarted = false;
        _informationalSent = false;
        _lastChunkDue = false;
        _answerBringsMuch = false;
        _closeAfter = false;
        _dueAnswer = null;
        _exceeded = null;
        _staleRetried = false;
        _retries = 0;
        _avoided = null;
        _queuedForSuccessor = false;
        _connectAttempts = 0;
        _informationalCount = 0;
    }
}
