using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>What follows a 101: the connection is a <see cref="Relay"/> of raw bytes until it ends (RFC 9110 7.8).</summary>
public sealed partial class HttpConnection
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

        Proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(start));
        ReleaseKeptRequest();
        Proxy.Metrics.CountResponse(101);
        Proxy.Metrics.Upgrades++;
        _answerStarted = true;
        SendToClient(buffer, start, start + length);
        _answer.Consume(head.Length);
        _phase = Phase.Tunnel;
        _relay = Proxy.RentRelay();
        var (fromClient, fromUpstream) = (_received, _answer);
        _received = default;
        _answer = default;
        Loop.Timers.Cancel(_upstream!);
        _relay.Start(this, _upstream!, fromClient, fromUpstream, _clientEnded);
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
                Abort(Outcome.ClientAborted);
                break;
            case RelayState.WorkerBroke:
                Truncate(Outcome.WorkerTruncated);
                break;
            default:
                var silenceMs = _pool!.Timeouts.TunnelMs;
                Loop.Timers.Arm(this, Loop.NowMs + (_relay.IsHalfClosed ? Math.Min(silenceMs, Settings.Timeouts.BodyMs) : silenceMs));
                break;
        }
    }

    /// <summary>Ends a tunnel. With <paramref name="reset"/> when bytes are given up in it, so that neither side takes them for all.</summary>
    private void CloseBoth(bool reset)
    {
        _upstreamPool!.Worker.End(Loop.Index, failed: false);
        _upstream!.Forsake();
        Loop.Close(_upstream, reset);
        _upstream = null;
        _upstreamPool = null;
        Loop.Close(this, reset);
    }
}
