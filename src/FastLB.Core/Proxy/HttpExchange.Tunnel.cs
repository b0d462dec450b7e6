using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>What follows a 101: the connection is a <see cref="Relay"/> of raw bytes until it ends (RFC 9110 7.8).</summary>
internal sealed partial class HttpExchange
{
    private void OpenTunnel(ReadOnlySpan<byte> source, MessageHead head, in ResponseFacts facts)
    {
        var length = WriteAnswerHead(source, head, facts, chunked: false);
        var buffer = _answer.Buffer!;
        var start = _answer.Start + head.Length - length;
        if (length < 0 || start < 0)
        {
            FailAnswer();
            return;
        }

        _proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(start));
        ReleaseKeptRequest();
        _proxy.Metrics.CountResponse(101);
        _proxy.Metrics.Upgrades++;
        _answerStarted = true;
        NoteAnswerBegins(101);
        SendToClient(buffer, start, start + length);
        _answer.Consume(head.Length);
        _phase = Phase.Tunnel;
        _relay = _proxy.RentRelay();
        var counters = _pool!.Counters.Tunnels;
        counters.Opened++;
        counters.Open++;
        if (_wantsWebSocket)
        {
            counters.WebSockets++;
            _relay.FollowFrames();
        }

        var (fromClient, fromUpstream) = (_client!.Received, _answer);
        _client!.Received = default;
        _answer = default;
        Loop.Timers.Cancel(_upstream!);
        _relay.Start(_client!, _upstream!, fromClient, fromUpstream, _client!.HasEnded, Acceleration.Auto, counters);
        BeginTunnelTimes();
        AfterRelay();
    }

    internal void OnTunnelReceived(LoopBuffer? buffer, int result)
    {
        _relay!.OnClientReceived(buffer, result);
        AfterRelay();
    }

    internal void OnTunnelMoved(in MoveResult result)
    {
        _relay!.OnClientMoved(result);
        AfterRelay();
    }

    private void AfterRelay()
    {
        switch (_relay!.State)
        {
            case RelayState.Finished:
                SetOutcome(Outcome.Completed);
                CloseBoth(reset: false);
                break;
            case RelayState.ClientBroke:
                _client!.Abort(Outcome.ClientAborted);
                break;
            case RelayState.WorkerBroke:
                Truncate(Outcome.WorkerTruncated);
                break;
            default:
                RestartSilence();
                break;
        }
    }

    /// <summary>Ends a tunnel. With <paramref name="reset"/> when bytes are given up in it, so that neither side takes them for all.</summary>
    private void CloseBoth(bool reset)
    {
        _upstream!.Forsake();
        Loop.Close(_upstream, reset);
        _upstream = null;
        _upstreamPool = null;
        Loop.Close(_client!, reset);
    }
}
