using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>The request on its way to a worker: what it means, and how its bytes follow. Who takes it is chosen in .Choosing.cs.</summary>
internal sealed partial class HttpExchange
{
    // 3. What the request means, where it goes, how it goes on.
    internal void Begin(MessageHead head, UpstreamPool? preferred = null)
    {
        var client = _client!;
        var source = client.Received.Span;
        var settings = client.Listener.Settings;
        _clientVersion = head.Version;
        _method = head.Method;
        NoteHead(source, head);
        var refusal = RequestRules.Check(source, head, client.Listener.HeadLimits, out var facts);
        if (refusal != Refusal.None)
        {
            Refuse(refusal);
            return;
        }

        _clientClosesToo = facts.Connection.Close || (head.Version == HttpVersion.Http10 && !facts.Connection.KeepAlive);
        _closeAfter = _clientClosesToo || client.IsDraining || client.HasEnded;
        _expectsContinue = facts.ExpectsContinue;
        _clientAddress = client.Address;
        if (client.Listener.Forwarder is { } forwarder)
        {
            Recognise(forwarder, source, head);
        }

        var rule = client.Listener.Routes.Match(source, head, facts);
        _route = rule < 0 ? null : client.Listener.RouteOf(rule);
        var maxBodyBytes = _route?.MaxBodyBytes ?? settings.Limits.BodyBytes;
        _requestBody = new BodyRelay(facts.Body, facts.Body.Kind == BodyKind.Chunked, maxBodyBytes);
        if (facts.Body.Length > maxBodyBytes)
        {
            Refuse(Refusal.BodyTooLarge);
            return;
        }

        if (_route is null)
        {
            AnswerUnrouted(rule, head);
            return;
        }

        NoteRoute();
        if (TryAnswerHere(source, head, facts))
        {
            return;
        }

        _pool = _route.Pool!;
        _pool.Counters.Requests++;
        _pool.Budget.Deposit();
        if (FirstExceeded(source, head, facts) is { } exceeded)
        {
            client.Received.Consume(head.Length);
            _exceeded = exceeded;
            Answer(ErrorResponses.RateLimited, Outcome.RateLimited, close: false);
            return;
        }

        _wantsUpgrade = IsUpgrade(source, head, facts.Connection);
        _pool.Refresh();
        _affinity = RequestRoute.AffinityOf(_pool, _clientAddress, source, head, facts);
        _priority = RequestRoute.PriorityOf(_pool.Pool.Settings.Queue, source, head);
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

        ChooseWorker(preferred);
    }

    /// <summary>Takes the request out of each rate that it counts for. The first that has nothing left, or null when all have.</summary>
    private RateLimit? FirstExceeded(ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts)
    {
        foreach (var limit in _pool!.Pool.Guards.RateLimits)
        {
            var settings = limit.Settings;
            var key = settings.Key == KeySource.Route
                ? RequestRoute.HashOf(_client!.Listener, _route!, limit.Seed)
                : RequestKey.HashOf(settings.Key, settings.KeyName.Bytes, _clientAddress, source, head, facts, limit.Seed);
            _verdict = limit.Limiter.TryTake(key, Loop.NowNs / 1000);
            if (!_verdict.Allowed)
            {
                return limit;
            }
        }

        return null;
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
            if (line.Id == HeaderId.Upgrade && NamesH2c(value))
            {
                return false;
            }

            _wantsWebSocket |= line.Id == HeaderId.Upgrade && System.Text.Ascii.EqualsIgnoreCase(value, "websocket"u8);
        }

        return true;
    }

    private static bool NamesH2c(ReadOnlySpan<byte> protocols)
    {
        foreach (var range in protocols.Split((byte)','))
        {
            var protocol = protocols[range].Trim(" \t"u8);
            if (protocol.Length >= 3 && System.Text.Ascii.EqualsIgnoreCase(protocol[..3], "h2c"u8))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Writes the head for the worker, with as much of the body as is already here, into the buffer that is sent first and
    /// kept for a retry. Leaves that null when the pool is empty. A refusal when the body is malformed in its first bytes.
    /// </summary>
    private Refusal WriteRequestHead(ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts)
    {
        Span<byte> addressText = stackalloc byte[ClientAddress.MaxTextLength];
        _clientAddress.TryFormat(addressText, out var addressLength);
        if (!TryEditRequest(source, head, facts, addressText[..addressLength], out var edits))
        {
            return Refusal.HeadTooLarge;
        }

        var rewrite = new RequestRewrite
        {
            Edits = edits,
            ClientAddress = addressText[..addressLength],
            FallbackHost = _client!.Listener.FallbackHost,
            Upgrade = _wantsUpgrade,
            StrippedCookie = _pool!.Sticky is { Strip: true } sticky ? sticky.Name : default,
        };
        if (_forwarder is not null && !TryForward(source, head, facts, ref rewrite))
        {
            return Refusal.HeadTooLarge;
        }

        if (_requestBody.IsComplete)
        {
            // The usual case: a small buffer of its own, and the client's large one goes back at once.
            var growth = (edits?.MaxGrowth ?? 0) + rewrite.ForwardingLines.Length;
            _requestBuffer = Loop.Buffers.TryRent(Math.Min(head.Length + growth + LoopBuffer.DataOffset, BufferPool.LargeCapacity));
            if (_requestBuffer is null)
            {
                return Refusal.None;
            }

            var target = _requestBuffer.Memory.AsSpan(LoopBuffer.DataOffset);
            var written = HeadRewriter.WriteRequest(source, head, facts, rewrite, target);
            _client.Received.Consume(head.Length);
            _requestStart = LoopBuffer.DataOffset;
            _requestEnd = LoopBuffer.DataOffset + written;
            _wholeRequestKept = true;
            return written < 0 ? Refusal.HeadTooLarge : Refusal.None;
        }

        // With a body, the head is put in front of the body's first bytes where they are.
        var length = HeadRewriter.WriteRequest(source, head, facts, rewrite, _proxy.HeadScratch);
        if (length < 0)
        {
            return Refusal.HeadTooLarge;
        }

        if (length > head.Length + RoomInPlace && (edits is not null || rewrite.HasForwardingLines))
        {
            _client.Received.Consume(head.Length);
            _requestStart = LoopBuffer.DataOffset;
            _requestEnd = LoopBuffer.DataOffset + length;
            _wholeRequestKept = false;
            return TryRentHead(length, out _requestBuffer) || length <= BufferPool.LargeCapacity ? Refusal.None : Refusal.HeadTooLarge;
        }

        var buffer = _client.Received.Buffer!;
        var bodyStart = _client.Received.Start + head.Length;
        var body = new RelayResult(RelayStatus.More, bodyStart, bodyStart, bodyStart);
        if (bodyStart < _client.Received.End)
        {
            _expectsContinue = false;
            body = _requestBody.Take(buffer, bodyStart, _client.Received.End, out var refusal);
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

        _proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(_requestStart));
        buffer.Retain();
        _requestBuffer = buffer;
        _bytesIn += body.Consumed - bodyStart;
        _client.Received.Consume(body.Consumed - _client.Received.Start);
        _wholeRequestKept = _requestBody.IsComplete;
        CompactKeptRequest();
        return Refusal.None;
    }

    /// <summary>A request may wait for long, for a worker or for its answer. It does not keep a large buffer for few bytes.</summary>
    private void CompactKeptRequest()
    {
        var large = _requestBuffer!;
        var length = _requestEnd - _requestStart;
        if (!ReceivedBytes.IsWorthMoving(length, large) || Loop.Buffers.TryRent(length) is not { } small)
        {
            return;
        }

        large.Span(_requestStart, _requestEnd).CopyTo(small.Memory.AsSpan(LoopBuffer.DataOffset));
        large.Release();
        _requestBuffer = small;
        _requestStart = LoopBuffer.DataOffset;
        _requestEnd = LoopBuffer.DataOffset + length;
    }

    // 6. The request goes out, and its body after it.
    private void SendRequest()
    {
        _phase = Phase.Exchanging;
        _requestOnWire = true;
        _sentNs = Loop.NowNs;
        if (_retries == 0)
        {
            _answerDeadlineMs = Loop.NowMs + PoolTimeouts.ResponseMs;
        }

        ArmForAnswer();
        _requestBuffer!.Retain();
        _upstreamSendSeen = _requestStart;
        Loop.Send(_upstream!, _requestBuffer, _requestStart, _requestEnd);
    }

    /// <summary>All attempts together have the time of one; each of them, while others may follow, what is configured for an attempt.</summary>
    private void ArmForAnswer()
    {
        var retries = Retries;
        var endMs = _retries == 0 ? Loop.NowMs + PoolTimeouts.ResponseMs : Math.Max(Loop.NowMs + 1, _answerDeadlineMs);
        if (retries.AttemptMs > 0 && _retries < retries.Attempts && _requestBuffer is not null)
        {
            endMs = Math.Min(endMs, Loop.NowMs + retries.AttemptMs);
        }

        Loop.Timers.Arm(_upstream!, endMs);
    }

    public void OnUpstreamSent(int result)
    {
        if (_phase == Phase.Tunnel)
        {
            _relay!.OnUpstreamSent(result);
            AfterRelay();
            return;
        }

        if (_phase == Phase.Connecting)
        {
            OnProxyHeaderSent(result);
            return;
        }

        if (result < 0)
        {
            // The worker does not take the request any more; it may have answered all the same, so the answer is awaited.
            _requestOnWire = _requestBuffer is null || _upstream!.SendPosition > _requestStart;
            _upstreamSendBroken = true;
            _lane?.NoteSendBroken();
            return;
        }

        if (!_wholeRequestKept || !IsIdempotent(_method))
        {
            // It could not be sent a second time anyway.
            ReleaseKeptRequest();
        }

        ArmForAnswer();
        PumpRequest();
    }

    private void PumpRequest()
    {
        while (_upstream is { IsSending: false } && !_upstreamSendBroken)
        {
            if (_requestBody.IsComplete)
            {
                _client!.WatchClient();
                return;
            }

            if (_client!.Received.IsEmpty)
            {
                if (_client!.HasEnded)
                {
                    _client!.Abort(Outcome.ClientAborted);
                    return;
                }

                Loop.Timers.Arm(_client!, Loop.NowMs + ClientTimeouts.BodyMs);
                if (!TryMoveRequest())
                {
                    _client!.WatchClient();
                }

                return;
            }

            // A client that sends its body waits for no 100 any more.
            _expectsContinue = false;
            var buffer = _client!.Received.Buffer!;
            var body = _requestBody.Take(buffer, _client!.Received.Start, _client!.Received.End, out var refusal);
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

            _bytesIn += body.Consumed - _client!.Received.Start;
            _client!.Received.Consume(body.Consumed - _client!.Received.Start);
        }
    }
}
