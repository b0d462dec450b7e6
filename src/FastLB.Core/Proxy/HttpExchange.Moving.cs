using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// Large bodies: when one has shown to be large, because it filled a whole buffer and enough of it is still to come, the kernel moves the rest of it from
/// one connection to the other, exactly up to its last byte. That needs a body that goes on as it came: with a length, or one that ends
/// with the connection for a client that takes it so. Chunks are always read. What clients, workers, timers and counters see is
/// the same as with copying.
/// </summary>
internal sealed partial class HttpExchange
{
    private bool _answerBringsMuch;
    private long _answerMovedSeen;
    private long _requestMovedSeen;

    /// <summary>True while something for the client is not taken by it. An answer's move may also wait for the worker.</summary>
    private bool IsClientHoldingAnswer =>
        _client!.IsSending && (_upstream is not { IsMoving: true } || Loop.IsMoveAwaitingTarget(_upstream));

    private bool TryMoveAnswer()
    {
        var limit = Math.Min(_answerBody.Movable, Relay.BytesPerMove);
        if (!_answerStarted || !_answerBringsMuch || limit < Loop.WorthMovingBytes || !Loop.CanMove(_upstream!, _client!))
        {
            return false;
        }

        _answerMovedSeen = 0;
        _clientSendSeen = 0;
        Loop.Timers.Arm(_upstream!, Loop.NowMs + PoolTimeouts.ResponseMs);
        Loop.Timers.Arm(_client!, Loop.NowMs + ClientTimeouts.BodyMs);
        Loop.Move(_upstream!, _client!, limit);
        return true;
    }

    public void OnUpstreamMoved(in MoveResult result)
    {
        if (_phase == Phase.Tunnel)
        {
            _relay!.OnUpstreamMoved(result);
            AfterRelay();
            return;
        }

        _proxy.Metrics.BytesToClients += result.Bytes;
        _bytesOut += result.Bytes;
        _proxy.Metrics.BytesMoved += result.Bytes;
        _answerBody.NoteMoved(result.Bytes);
        _answerBringsMuch = result.End == MoveEnd.Complete;
        switch (result.End)
        {
            case MoveEnd.TargetFailed:
                _client!.Abort(Outcome.ClientAborted);
                break;
            case MoveEnd.SourceEnded or MoveEnd.SourceFailed:
                OnUpstreamEnded(result.Error);
                break;
            case var _ when _answerBody.IsComplete:
                LeaveUpstream();
                FinishRequest();
                break;
            default:
                Loop.Timers.Arm(_upstream!, Loop.NowMs + PoolTimeouts.ResponseMs);
                PumpAnswer();
                break;
        }
    }

    /// <summary>Whether an answer's move has got on since the worker's timer last asked.</summary>
    private bool HasAnswerMoved()
    {
        if (_upstream is not { IsMoving: true } || Loop.Moved(_upstream) == _answerMovedSeen)
        {
            return false;
        }

        _answerMovedSeen = Loop.Moved(_upstream);
        return true;
    }

    private bool TryMoveRequest()
    {
        var limit = Math.Min(_requestBody.Movable, Relay.BytesPerMove);
        if (_phase != Phase.Exchanging || !_client!.BringsMuch || _client.IsReceiving || limit < Loop.WorthMovingBytes
            || !Loop.CanMove(_client, _upstream!))
        {
            return false;
        }

        _requestMovedSeen = 0;
        _upstreamSendSeen = 0;
        Loop.Timers.Arm(_upstream!, Loop.NowMs + PoolTimeouts.ResponseMs);
        Loop.Move(_client, _upstream!, limit);
        return true;
    }

    /// <summary>So much of the request's body went on, however the move ended.</summary>
    internal void NoteRequestMoved(long bytes)
    {
        _proxy.Metrics.BytesMoved += bytes;
        _bytesIn += bytes;
        _requestBody.NoteMoved(bytes);
    }

    internal void OnRequestMoved(in MoveResult result)
    {
        if (result.End == MoveEnd.TargetFailed)
        {
            OnUpstreamSent(result.Error);
            return;
        }

        _client!.BringsMuch = result.End == MoveEnd.Complete;
        Loop.Timers.Arm(_upstream!, Loop.NowMs + PoolTimeouts.ResponseMs);
        PumpRequest();
    }

    /// <summary>Whether a request's move has got on since the client's timer last asked.</summary>
    private bool HasRequestMoved()
    {
        if (!_client!.IsMoving || Loop.Moved(_client) == _requestMovedSeen)
        {
            return false;
        }

        _requestMovedSeen = Loop.Moved(_client);
        return true;
    }
}
