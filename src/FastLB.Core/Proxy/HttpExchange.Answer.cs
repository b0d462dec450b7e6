using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>The answer on its way to the client, informational answers first.</summary>
internal sealed partial class HttpExchange
{
    // 7. The worker's bytes.
    public void OnUpstreamReceived(LoopBuffer? buffer, int result)
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
            _client!.Abort(Outcome.OutOfMemory);
            return;
        }

        _answerBringsMuch = result >= Loop.WorthMovingBytes;
        if (_answerStarted)
        {
            // The head has its limit as a whole; only afterwards is it silence that counts.
            Loop.Timers.Arm(_upstream!, Loop.NowMs + PoolTimeouts.ResponseMs);
        }

        PumpAnswer();
    }

    private void PumpAnswer()
    {
        while (_phase == Phase.Exchanging && !_client!.IsSending && _upstream is not null)
        {
            if (_answer.IsEmpty)
            {
                if (!_upstream.IsReceiving && !TryMoveAnswer())
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
            else if (!RelayAnswerBody())
            {
                return;
            }
        }
    }

    /// <summary>Acts on the next answer head. False when more bytes are needed or the exchange is over.</summary>
    private bool ReadAnswerHead()
    {
        var head = _proxy.ResponseHead;
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
            _upstream!.AnsweredStatus = 101;
            OpenTunnel(source, head, facts);
            return false;
        }

        if (facts.IsInformational)
        {
            ForwardInformational(source, head, facts);
            return true;
        }

        _upstream!.AnsweredStatus = head.StatusCode;
        _upstreamPool!.NoteAnswer(head.StatusCode, Loop.NowNs - _sentNs);
        if (TryRetryStatus(head.StatusCode))
        {
            return false;
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

        if (++_informationalCount > MaxInformational)
        {
            FailAnswer();
            return;
        }

        // A worker that says that it is still at work gets its time anew.
        Loop.Timers.Arm(_upstream!, Loop.NowMs + PoolTimeouts.ResponseMs);

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

            _proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(start));
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
        _closeAfter |= (_client!.IsDraining && IsLast) || (hasOpenEnd && !chunked)
            || (isEarly && (head.StatusCode >= 300 || _expectsContinue)) || (_upstreamSendBroken && _lane is null);
        var idleMs = UpstreamPool.IdleLimitMs(facts);
        _upstreamStaysOpen = facts.KeepsAlive;
        _upstreamReusable = facts.KeepsAlive && idleMs > 0 && !_upstreamSendBroken && !_upstreamPool!.IsForOneClient;
        _upstream!.IdleLimitMs = Math.Max(1, idleMs);
        _upstream.IsPersistent = facts.KeepsAlive && head.Version == HttpVersion.Http11;

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
        var goesAlone = length > head.Length + RoomInPlace && (_forwarder is not null || _route!.Route.ResponseChanges is not null);
        LoopBuffer? own = null;
        if (goesAlone && !TryRentHead(length, out own))
        {
            FailAnswer();
            return;
        }

        var buffer = _answer.Buffer!;
        var bodyStart = _answer.Start + head.Length;
        var body = new RelayResult(RelayStatus.More, bodyStart, bodyStart, bodyStart);
        if (!goesAlone && !_answerBody.IsComplete && bodyStart < _answer.End)
        {
            body = _answerBody.Take(buffer, bodyStart, _answer.End, out _);
        }

        var start = body.SendStart - length;
        if (!goesAlone && (body.Status == RelayStatus.Invalid || start < 0))
        {
            FailAnswer();
            return;
        }

        if (!goesAlone)
        {
            _proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(start));
        }

        _answerStarted = true;
        NoteAnswerBegins(head.StatusCode);
        ReleaseKeptRequest();
        if (Retries.AttemptMs > 0 || _retries > 0)
        {
            // What ran was the time of an attempt. From here on it is silence that counts.
            Loop.Timers.Arm(_upstream!, Loop.NowMs + PoolTimeouts.ResponseMs);
        }

        _proxy.Metrics.CountResponse(head.StatusCode);
        if (own is not null)
        {
            SendToClient(own, LoopBuffer.DataOffset, LoopBuffer.DataOffset + length);
            own.Release();
        }
        else
        {
            SendToClient(buffer, start, body.SendEnd);
        }

        _answer.Consume(body.Consumed - _answer.Start);
        if (_answerBody.IsComplete)
        {
            LeaveUpstream();
        }
    }

    /// <summary>Writes the head for the client into the scratch memory. The count of its bytes, or -1 when they do not fit.</summary>
    private int WriteAnswerHead(ReadOnlySpan<byte> source, MessageHead head, in ResponseFacts facts, bool chunked)
    {
        var isFinal = !facts.IsInformational || head.StatusCode == 101;
        HeadEdits? edits = null;
        if (!facts.IsInformational && !TryEditAnswer(out edits))
        {
            return -1;
        }

        var rewrite = new ResponseRewrite
        {
            ClientVersion = _clientVersion,
            Close = _closeAfter,
            Chunked = chunked,
            Upgrade = head.StatusCode == 101,
            Edits = edits,
            SetCookieLine = isFinal ? RequestRoute.CookieLineFor(_pool!, _upstreamPool!.Worker, _affinity.Slot) : default,
        };
        return isFinal && _forwarder is not null
            ? WriteAnswerHeadWithLines(source, head, facts, rewrite)
            : HeadRewriter.WriteResponse(source, head, facts, rewrite, _proxy.HeadScratch);
    }

    /// <summary>Passes on what is here of the body. False when that was the end of the exchange.</summary>
    private bool RelayAnswerBody()
    {
        var buffer = _answer.Buffer!;
        var body = _answerBody.Take(buffer, _answer.Start, _answer.End, out _);
        if (body.Status == RelayStatus.Invalid)
        {
            Truncate(Outcome.WorkerMalformed);
            return false;
        }

        if (body.SendStart < body.SendEnd)
        {
            SendToClient(buffer, body.SendStart, body.SendEnd);
        }

        _answer.Consume(body.Consumed - _answer.Start);
        if (!_answerBody.IsComplete)
        {
            return true;
        }

        LeaveUpstream();
        if (!_client!.IsSending)
        {
            FinishRequest();
        }

        return false;
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
}
