using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>The answers to requests that ran ahead, in the order of the requests.</summary>
internal sealed partial class HttpPipeline
{
    private enum Gathering : byte
    {
        /// <summary>The answer stands behind those that leave next.</summary>
        Done,

        /// <summary>It is whole, but those before it have to leave first.</summary>
        NoRoom,

        /// <summary>It does not go out in one piece: an exchange has to see to it.</summary>
        NotWhole,
    }

    // Answers that leave in the next send, or are leaving.
    private LoopBuffer? _gathered;
    private int _gatheredEnd;
    private int _gatheredCount;
    private bool _closeAfter;
    private long _clientSendSeen;

    // 3. As many answers as are here; they wait for none that is not.
    internal void Pump()
    {
        var client = _client!;
        while (_next < _count && !client.IsSending)
        {
            ref var request = ref _requests[_next];
            var lane = _lanes[request.Lane];
            if (lane.Upstream is null)
            {
                if (!TrySendGathered())
                {
                    _next++;
                    client.BeginPipelinedExchange().SendAlone(HandOver(ref request), _pool!, _heads!, lane);
                }

                return;
            }

            if (lane.Received.IsEmpty)
            {
                lane.Await();
                TrySendGathered();
                return;
            }

            switch (TryGather(ref request, lane))
            {
                case Gathering.Done:
                    break;
                case Gathering.NotWhole when _gatheredCount == 0:
                    TakeOver(ref request, lane);
                    return;
                default:
                    TrySendGathered();
                    return;
            }
        }

        if (!client.IsSending && !TrySendGathered())
        {
            client.EndPipeline(_closeAfter || client.HasEnded);
        }
    }

    /// <summary>Copies the first answer of the lane, with its head rewritten, behind those that leave next.</summary>
    private Gathering TryGather(ref PipelinedRequest request, PipelineLane lane)
    {
        var source = lane.Received.Span;
        var head = _proxy.ResponseHead;
        if (ResponseParser.Parse(source, 0, HttpLimits.Default, head, out _) != ParseStatus.Done
            || ResponseRules.Check(source, head, request.Method, out var facts) != Refusal.None
            || facts.IsInformational || !facts.KeepsAlive || facts.Body.Kind == BodyKind.Chunked
            || facts.Body.Length > source.Length - head.Length)
        {
            return Gathering.NotWhole;
        }

        _gathered ??= RentGathered();
        if (_gathered is not { } buffer)
        {
            return Gathering.NotWhole;
        }

        var isLast = _next == _count - 1;
        var rewrite = new ResponseRewrite
        {
            ClientVersion = HttpVersion.Http11,
            Close = isLast && (_client!.IsDraining || _client!.HasEnded),
            Chunked = request.Method == RequestMethod.Head && head.Has(HeaderId.TransferEncoding),
            SetCookieLine = RequestRoute.CookieLineFor(_pool!, lane.Home!.Worker, request.Affinity.Slot),
        };
        var room = buffer.Span(_gatheredEnd, buffer.DataEnd);
        var bodyLength = (int)facts.Body.Length;
        var written = HeadRewriter.WriteResponse(source, head, facts, rewrite, room);
        if (written < 0 || bodyLength > room.Length - written)
        {
            return _gatheredCount == 0 ? Gathering.NotWhole : Gathering.NoRoom;
        }

        source.Slice(head.Length, bodyLength).CopyTo(room[written..]);
        NoteAnswer(ref request, lane.Home!, head.StatusCode, written + bodyLength);
        _gatheredEnd += written + bodyLength;
        _gatheredCount++;
        _next++;
        _closeAfter |= rewrite.Close;
        _proxy.Metrics.CountResponse(head.StatusCode);
        lane.Home!.NoteAnswer(head.StatusCode, Loop.NowNs - request.BeganNs);
        var idleMs = UpstreamPool.IdleLimitMs(facts);
        lane.Upstream!.IdleLimitMs = Math.Max(1, idleMs);
        lane.Upstream.IsPersistent = head.Version == HttpVersion.Http11;
        lane.Answered(head.Length + bodyLength, mayStay: idleMs > 0);
        return Gathering.Done;
    }

    private LoopBuffer? RentGathered()
    {
        _gatheredEnd = LoopBuffer.DataOffset;
        return Loop.Buffers.TryRent(BufferPool.MediumCapacity);
    }

    /// <summary>Sends what was gathered; false when that is nothing.</summary>
    private bool TrySendGathered()
    {
        if (_gatheredCount == 0)
        {
            return false;
        }

        // The loop gives the buffer back when the bytes are out; answers to come stand in another one.
        var buffer = _gathered!;
        _gathered = null;
        _clientSendSeen = LoopBuffer.DataOffset;
        _proxy.Metrics.BytesToClients += _gatheredEnd - LoopBuffer.DataOffset;
        Loop.Timers.Arm(_client!, Loop.NowMs + _client!.Timeouts.BodyMs);
        Loop.Send(_client, buffer, LoopBuffer.DataOffset, _gatheredEnd);
        return true;
    }

    internal void OnClientSent(int result)
    {
        if (result < 0)
        {
            _client!.Abort(Outcome.ClientAborted);
            return;
        }

        // One look at the clock serves them all; they came together and left together.
        var nowNs = Loop.ReadClockNs();
        var nanoseconds = nowNs - _requests[0].BeganNs;
        for (; _gatheredCount > 0; _gatheredCount--)
        {
            Count(Outcome.Completed);
            WriteDown(ref _requests[_next - _gatheredCount], Outcome.Completed, nowNs);
            _proxy.Metrics.RequestNanoseconds.Record(nanoseconds);
        }

        Pump();
    }

    // 4. What is not to be gathered.
    private void TakeOver(ref PipelinedRequest request, PipelineLane lane)
    {
        _next++;
        _client!.BeginPipelinedExchange().TakeOver(HandOver(ref request), _pool!, _heads!, lane);
    }

    /// <summary>Answers have come on a lane, or it was lost.</summary>
    internal void OnLaneChanged(PipelineLane lane)
    {
        if (IsTurnOf(lane))
        {
            Pump();
        }
        else
        {
            // They may wait for long.
            lane.Received.Compact(Loop.Buffers);
        }
    }

    /// <summary>The worker was silent for too long, if it is for it to speak.</summary>
    internal void OnLaneTimer(PipelineLane lane)
    {
        if (!IsTurnOf(lane) || _client!.IsSending || !lane.Received.IsEmpty)
        {
            lane.RestartTimer();
            return;
        }

        ref var request = ref _requests[_next++];
        var exchange = _client.BeginPipelinedExchange();
        exchange.TakeOver(HandOver(ref request), _pool!, _heads!, lane);
        exchange.OnUpstreamTimer();
    }

    internal void OnClientTimer()
    {
        var client = _client!;
        if (client.IsSending && Loop.SendProgress(client) == _clientSendSeen)
        {
            client.Abort(Outcome.ClientTimeout);
            return;
        }

        // It takes its answers slowly, or it is the workers' turn, whose own timers run.
        _clientSendSeen = client.IsSending ? Loop.SendProgress(client) : 0;
        Loop.Timers.Arm(client, Loop.NowMs + client.Timeouts.BodyMs);
    }

    private bool IsTurnOf(PipelineLane lane) => !_client!.IsExchanging && !IsOver && ReferenceEquals(_lanes[_requests[_next].Lane], lane);
}
