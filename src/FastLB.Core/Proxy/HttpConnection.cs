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
/// What goes wrong on the way is told in HttpConnection.Failures.cs: retries, answers of our own, aborts.
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

    // How far sends had come when their timers last looked: silence is when nothing moved, not when a send takes long.
    private int _clientSendSeen;
    private int _upstreamSendSeen;

    internal HttpConnection(ProxyLoop proxy)
        : base(proxy)
    {
    }

    private ListenerSettings Settings => _listener!.Settings;

    private static bool IsIdempotent(RequestMethod method) => method is RequestMethod.Get or RequestMethod.Head
        or RequestMethod.Put or RequestMethod.Delete or RequestMethod.Options or RequestMethod.Trace;

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

    // 3. What the request means, where it goes, how it goes on.
    private void BeginRequest()
    {
        BeginOutcome();
        var head = Proxy.RequestHead;
        var source = _received.Span;
        _seen = 0;
        _headTimed = false;
        _clientVersion = head.Version;
        _method = head.Method;
        _requestBody = default;

        var refusal = RequestRules.Check(source, head, Settings.Limits, out var facts);
        if (refusal != Refusal.None)
        {
            Refuse(refusal);
            return;
        }

        _clientClosesToo = facts.Connection.Close || (head.Version == HttpVersion.Http10 && !facts.Connection.KeepAlive);
        _closeAfter = _clientClosesToo || Proxy.IsDraining || _clientEnded;
        _expectsContinue = facts.ExpectsContinue;
        _requestBody = new BodyRelay(facts.Body, facts.Body.Kind == BodyKind.Chunked, Settings.Limits.BodyBytes);

        var host = source.Slice(facts.HostStart, facts.HostNameLength);
        var path = facts.PathLength == 0 ? "/"u8 : source.Slice(facts.PathStart, facts.PathLength);
        var poolIndex = _listener!.Routes.Match(host, path);
        if (poolIndex < 0)
        {
            _received.Consume(head.Length);
            Answer(ErrorResponses.NoRoute, Outcome.NoRoute, close: false);
            return;
        }

        _pool = Proxy.Pools[poolIndex];
        _pool.Requests++;
        _pool.Budget.Deposit();
        _wantsUpgrade = IsUpgrade(source, head, facts.Connection);
        _stickySlot = _pool.Sticky is { } sticky && head.Has(HeaderId.Cookie) ? ReadStickySlot(sticky, source, head) : -1;
        refusal = WriteRequestHead(source, head, facts);
        if (refusal != Refusal.None)
        {
            Refuse(refusal);
            return;
        }

        if (_requestBuffer is null)
        {
            Answer(ErrorResponses.OutOfMemory, Outcome.OutOfMemory, close: true);
            return;
        }

        ChooseWorker(tried: null, fresh: false);
    }

    /// <summary>
    /// Only what is alone in its message can open a tunnel: HTTP/1.1 (RFC 9110 7.8), no body, and not h2c, by which a request
    /// could get past a balancer that reads HTTP/1.1.
    /// </summary>
    private bool IsUpgrade(ReadOnlySpan<byte> source, MessageHead head, in ConnectionOptions options)
    {
        if (!head.Has(HeaderId.Upgrade) || !options.Upgrade || head.Version != HttpVersion.Http11 || !_requestBody.IsComplete)
        {
            return false;
        }

        foreach (ref readonly var line in head.Headers)
        {
            var value = source.Slice(line.ValueStart, line.ValueLength);
            if (line.Id == HeaderId.Upgrade && value.Length >= 3 && System.Text.Ascii.EqualsIgnoreCase(value[..3], "h2c"u8))
            {
                return false;
            }
        }

        return true;
    }

    private static int ReadStickySlot(StickyCookie sticky, ReadOnlySpan<byte> source, MessageHead head)
    {
        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id != HeaderId.Cookie)
            {
                continue;
            }

            foreach (var pair in new CookiePairs(source.Slice(line.ValueStart, line.ValueLength)))
            {
                if (pair.Name.SequenceEqual(sticky.Name) && sticky.TryRead(pair.Value, out var slot))
                {
                    return slot;
                }
            }
        }

        return -1;
    }

    /// <summary>
    /// Writes the head for the worker, with as much of the body as is already here, into the buffer that is sent first and
    /// kept for a retry. Leaves that null when the pool is empty. A refusal when the body is malformed in its first bytes.
    /// </summary>
    private Refusal WriteRequestHead(ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts)
    {
        Span<byte> addressText = stackalloc byte[ClientAddress.MaxTextLength];
        Address.TryFormat(addressText, out var addressLength);
        var rewrite = new RequestRewrite
        {
            ClientAddress = addressText[..addressLength],
            FallbackHost = _listener!.FallbackHost,
            Upgrade = _wantsUpgrade,
            StrippedCookie = _pool!.Sticky is { Strip: true } sticky ? sticky.Name : default,
        };
        if (_requestBody.IsComplete)
        {
            // The usual case: a small buffer of its own, and the client's large one goes back at once.
            _requestBuffer = Loop.Buffers.TryRent(Math.Min(head.Length + LoopBuffer.DataOffset, BufferPool.LargeCapacity));
            if (_requestBuffer is null)
            {
                return Refusal.None;
            }

            var target = _requestBuffer.Memory.AsSpan(LoopBuffer.DataOffset);
            var written = HeadRewriter.WriteRequest(source, head, facts, rewrite, target);
            _received.Consume(head.Length);
            _requestStart = LoopBuffer.DataOffset;
            _requestEnd = LoopBuffer.DataOffset + written;
            _wholeRequestKept = true;
            return written < 0 ? Refusal.HeadTooLarge : Refusal.None;
        }

        // With a body, the head is put in front of the body's first bytes where they are.
        var length = HeadRewriter.WriteRequest(source, head, facts, rewrite, Proxy.HeadScratch);
        if (length < 0)
        {
            return Refusal.HeadTooLarge;
        }

        var buffer = _received.Buffer!;
        var bodyStart = _received.Start + head.Length;
        var body = new RelayResult(RelayStatus.More, bodyStart, bodyStart, bodyStart);
        if (bodyStart < _received.End)
        {
            body = _requestBody.Take(buffer, bodyStart, _received.End, out var refusal);
            if (body.Status == RelayStatus.Invalid)
            {
                return refusal;
            }
        }

        _requestStart = body.SendStart - length;
        _requestEnd = body.SendEnd;
        if (_requestStart < 0)
        {
            return Refusal.HeadTooLarge;
        }

        Proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(_requestStart));
        buffer.Retain();
        _requestBuffer = buffer;
        _received.Consume(body.Consumed - _received.Start);
        _wholeRequestKept = _requestBody.IsComplete;
        return Refusal.None;
    }

    // 4. A worker, or the queue.
    private void ChooseWorker(Worker? tried, bool fresh)
    {
        Invariant.That(_upstream is null, "a request is at one worker at a time");
        if (_pool!.Pick(_stickySlot, tried) is { } chosen)
        {
            Attempt(chosen, fresh);
            return;
        }

        if (!_pool.Queue.TryEnqueue(this))
        {
            Answer(ErrorResponses.QueueFull, Outcome.QueueFull, close: false);
            return;
        }

        _phase = Phase.Queued;
        Loop.Timers.Arm(this, Loop.NowMs + _pool.Timeouts.QueueMs);
        WatchClient();
    }

    internal override void OnWorkerAvailable()
    {
        Invariant.That(_phase == Phase.Queued, "only a request that waits is served from the queue");
        ChooseWorker(tried: null, fresh: true);
    }

    // 5. A connection to it: one that waited in the pool, or a new one.
    private void Attempt(UpstreamPool chosen, bool fresh)
    {
        _upstreamPool = chosen;
        chosen.Worker.Begin(Loop.Index);
        _requestOnWire = false;
        _upstreamSendBroken = false;
        Loop.Timers.Arm(this, Loop.NowMs + Settings.Timeouts.BodyMs);
        if (!fresh && chosen.TryTakeIdle(this) is { } idle)
        {
            _upstream = idle;
            SendRequest();
        }
        else
        {
            _phase = Phase.Connecting;
            _upstream = chosen.Connect(this);
            Loop.Timers.Arm(_upstream, Loop.NowMs + _pool!.Timeouts.ConnectMs);
        }

        WatchClient();
    }

    internal override void OnUpstreamConnected(int result)
    {
        Invariant.That(_phase == Phase.Connecting, "a connect ends while it is awaited");
        if (result < 0)
        {
            _upstreamPool!.NoteConnectFailure();
            RetryOrAnswer(ErrorResponses.ConnectFailed, Outcome.ConnectFailed);
            return;
        }

        _upstreamPool!.NoteConnected();
        Loop.Receive(_upstream!);
        SendRequest();
    }

    // 6. The request goes out, and its body after it.
    private void SendRequest()
    {
        _phase = Phase.Exchanging;
        _requestOnWire = true;
        Loop.Timers.Arm(_upstream!, Loop.NowMs + _pool!.Timeouts.ResponseMs);
        _requestBuffer!.Retain();
        _upstreamSendSeen = _requestStart;
        Loop.Send(_upstream!, _requestBuffer, _requestStart, _requestEnd);
    }

    internal override void OnUpstreamSent(int result)
    {
        if (_phase == Phase.Tunnel)
        {
            _relay!.OnUpstreamSent(result);
            AfterRelay();
            return;
        }

        if (result < 0)
        {
            // The worker does not take the request any more; it may have answered all the same, so the answer is awaited.
            _requestOnWire = _requestBuffer is null || _upstream!.SendPosition != _requestStart;
            _upstreamSendBroken = true;
            return;
        }

        if (!_wholeRequestKept)
        {
            ReleaseKeptRequest();
        }

        Loop.Timers.Arm(_upstream!, Loop.NowMs + _pool!.Timeouts.ResponseMs);
        PumpRequest();
    }

    private void PumpRequest()
    {
        while (_upstream is { IsSending: false } && !_upstreamSendBroken)
        {
            if (_requestBody.IsComplete)
            {
                WatchClient();
                return;
            }

            if (_received.IsEmpty)
            {
                if (_clientEnded)
                {
                    Abort(Outcome.ClientAborted);
                    return;
                }

                Loop.Timers.Arm(this, Loop.NowMs + Settings.Timeouts.BodyMs);
                WatchClient();
                return;
            }

            var buffer = _received.Buffer!;
            var body = _requestBody.Take(buffer, _received.Start, _received.End, out var refusal);
            if (body.Status == RelayStatus.Invalid)
            {
                RefuseBody(refusal);
                return;
            }

            if (body.SendStart < body.SendEnd)
            {
                buffer.Retain();
                _upstreamSendSeen = body.SendStart;
                Loop.Send(_upstream, buffer, body.SendStart, body.SendEnd);
            }

            _received.Consume(body.Consumed - _received.Start);
        }
    }

    // 7. The worker's bytes.
    internal override void OnUpstreamReceived(LoopBuffer? buffer, int result)
    {
        if (_phase == Phase.Tunnel)
        {
            _relay!.OnUpstreamReceived(buffer, result);
            AfterRelay();
            return;
        }

        if (result <= 0)
        {
            OnUpstreamEnded(result);
            return;
        }

        if (!_answer.Append(buffer!, result, Loop.Buffers))
        {
            Abort(Outcome.OutOfMemory);
            return;
        }

        Loop.Timers.Arm(_upstream!, Loop.NowMs + _pool!.Timeouts.ResponseMs);
        PumpAnswer();
    }

    private void PumpAnswer()
    {
        while (_phase == Phase.Exchanging && !IsSending && _upstream is not null)
        {
            if (_answer.IsEmpty)
            {
                if (!_upstream.IsReceiving)
                {
                    Loop.Receive(_upstream);
                }

                return;
            }

            if (!_answerStarted)
            {
                if (!ReadAnswerHead())
                {
                    return;
                }
            }
            else
            {
                RelayAnswerBody();
            }
        }
    }

    /// <summary>Acts on the next answer head. False when more bytes are needed or the exchange is over.</summary>
    private bool ReadAnswerHead()
    {
        var head = Proxy.ResponseHead;
        var source = _answer.Span;
        var status = ResponseParser.Parse(source, _answerSeen, HttpLimits.Default, head, out _);
        if (status == ParseStatus.Partial)
        {
            _answerSeen = source.Length;
            if (_answer.MoveUp())
            {
                return true;
            }

            _answer.Compact(Loop.Buffers);
            if (!_upstream!.IsReceiving)
            {
                Loop.Receive(_upstream);
            }

            return false;
        }

        _answerSeen = 0;
        if (status == ParseStatus.Invalid || ResponseRules.Check(source, head, _method, out var facts) != Refusal.None
            || (head.StatusCode == 101 && !_wantsUpgrade))
        {
            FailAnswer();
            return false;
        }

        if (head.StatusCode == 101)
        {
            OpenTunnel(source, head, facts);
            return false;
        }

        if (facts.IsInformational)
        {
            ForwardInformational(source, head, facts);
            return true;
        }

        StartAnswer(source, head, facts);
        return true;
    }

    private void ForwardInformational(ReadOnlySpan<byte> source, MessageHead head, in ResponseFacts facts)
    {
        if (head.StatusCode == 100)
        {
            _expectsContinue = false;
        }

        // HTTP/1.0 knows no informational answers (RFC 9110 15.2).
        if (_clientVersion == HttpVersion.Http11)
        {
            _informationalSent = true;
            var buffer = _answer.Buffer!;
            var length = WriteAnswerHead(source, head, facts, chunked: false);
            var start = _answer.Start + head.Length - length;
            if (length < 0 || start < 0)
            {
                FailAnswer();
                return;
            }

            Proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(start));
            SendToClient(buffer, start, start + length);
        }

        _answer.Consume(head.Length);
    }

    // 8. The answer goes out, and its body after it.
    private void StartAnswer(ReadOnlySpan<byte> source, MessageHead head, in ResponseFacts facts)
    {
        var hasOpenEnd = facts.Body.Kind is BodyKind.Chunked or BodyKind.UntilClose;
        var chunked = hasOpenEnd && _clientVersion == HttpVersion.Http11;
        var isEarly = !_requestBody.IsComplete;

        // Without chunks only the end of the connection ends such a body. A client that is refused before its body was read, or
        // that was never told to send one, is told not to use the connection again (RFC 9110 10.1.1, RFC 9112 9.6).
        _closeAfter |= Proxy.IsDraining || (hasOpenEnd && !chunked) || (isEarly && (head.StatusCode >= 300 || _expectsContinue))
            || _upstreamSendBroken;
        var idleMs = facts.KeepAliveTimeoutSeconds < 0
            ? UpstreamPool.DefaultIdleMs
            : (int)Math.Min(UpstreamPool.DefaultIdleMs, (facts.KeepAliveTimeoutSeconds * 1000L) - 1000);
        _upstreamReusable = facts.KeepsAlive && idleMs > 0 && !_upstreamSendBroken;
        _upstream!.IdleLimitMs = Math.Max(1, idleMs);

        var headNamesChunks = chunked || (_method == RequestMethod.Head && _clientVersion == HttpVersion.Http11
            && head.Has(HeaderId.TransferEncoding));
        var length = WriteAnswerHead(source, head, facts, headNamesChunks);
        if (length < 0)
        {
            FailAnswer();
            return;
        }

        // The head stands in the scratch memory now, so the framing of the body may be written over where it came from.
        _answerBody = new BodyRelay(facts.Body, chunked);
        var buffer = _answer.Buffer!;
        var bodyStart = _answer.Start + head.Length;
        var body = new RelayResult(RelayStatus.More, bodyStart, bodyStart, bodyStart);
        if (!_answerBody.IsComplete && bodyStart < _answer.End)
        {
            body = _answerBody.Take(buffer, bodyStart, _answer.End, out _);
        }

        var start = body.SendStart - length;
        if (body.Status == RelayStatus.Invalid || start < 0)
        {
            FailAnswer();
            return;
        }

        Proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(start));
        _answerStarted = true;
        ReleaseKeptRequest();
        Proxy.Metrics.CountResponse(head.StatusCode);
        SendToClient(buffer, start, body.SendEnd);
        _answer.Consume(body.Consumed - _answer.Start);
        if (_answerBody.IsComplete)
        {
            LeaveUpstream();
        }
    }

    /// <summary>Writes the head for the client into the scratch memory. The count of its bytes, or -1 when they do not fit.</summary>
    private int WriteAnswerHead(ReadOnlySpan<byte> source, MessageHead head, in ResponseFacts facts, bool chunked)
    {
        var slot = _upstreamPool!.Worker.Slot;
        var isLast = !facts.IsInformational || head.StatusCode == 101;
        var rewrite = new ResponseRewrite
        {
            ClientVersion = _clientVersion,
            Close = _closeAfter,
            Chunked = chunked,
            Upgrade = head.StatusCode == 101,
            SetCookieLine = isLast && slot != _stickySlot && _pool!.Sticky is { } sticky ? sticky.SetLineOf(slot) : default,
        };
        return HeadRewriter.WriteResponse(source, head, facts, rewrite, Proxy.HeadScratch);
    }

    private void RelayAnswerBody()
    {
        var buffer = _answer.Buffer!;
        var body = _answerBody.Take(buffer, _answer.Start, _answer.End, out _);
        if (body.Status == RelayStatus.Invalid)
        {
            Truncate(Outcome.WorkerMalformed);
            return;
        }

        if (body.SendStart < body.SendEnd)
        {
            SendToClient(buffer, body.SendStart, body.SendEnd);
        }

        _answer.Consume(body.Consumed - _answer.Start);
        if (_answerBody.IsComplete)
        {
            LeaveUpstream();
            if (!IsSending)
            {
                FinishRequest();
            }
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
            // Bytes behind an answer, or a request that it did not read to the end, make the connection useless. Bytes of the
            // request may still be on their way out of a buffer that the client's next request shares, so that one has to go too.
            _closeAfter |= upstream.IsSending;
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
