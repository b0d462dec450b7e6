using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Resilience;

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
/// The steps of the connection stand here (1, 2, 10), how it closes in .Closing.cs; those of a request (3 to 9) in <see cref="HttpExchange"/>, which is there
/// only while a request is. So an idle connection is this one small object and holds no buffer; a busy one holds at most one
/// buffer in each direction. Of a client that does not wait for its answers, several requests at once go through steps 3 to 9 in a
/// <see cref="HttpPipeline"/>.
/// </summary>
public sealed partial class HttpConnection : ClientConnection
{
    private enum Phase : byte
    {
        Closed,
        OneTooMany,
        AwaitingProxyHeader,
        AwaitingHead,
        Exchanging,
        Lingering,
    }

    private HttpListener? _listener;
    private HttpExchange? _exchange;
    private HttpPipeline? _pipeline;
    private int _seen;
    private Phase _phase;
    private bool _headTimed;

    internal HttpConnection(ProxyLoop proxy)
        : base(proxy)
    {
    }

    /// <summary>What the client sent and nobody has taken yet: part of a head, a body for its worker, the next requests.</summary>
    internal ReceivedBytes Received;

    internal HttpListener Listener => _listener!;

    internal Timeouts Timeouts => _listener!.Settings.Timeouts;

    internal bool IsExchanging => _exchange is not null;

    /// <summary>True when answers follow the present one, to requests that were sent ahead.</summary>
    internal bool HasMoreAhead => _pipeline is { IsOver: false };

    /// <summary>Requests that have begun and have no outcome yet.</summary>
    internal int PendingRequests => (_exchange is { IsPending: true } ? 1 : 0) + (_pipeline?.Pending ?? 0);

    /// <summary>True once the client has ended its sending direction.</summary>
    internal bool HasEnded { get; private set; }

    /// <summary>True when the last receive brought so much that moving what follows would have paid.</summary>
    internal bool BringsMuch { get; set; }

    internal void Open(HttpListener listener, bool asksForHeader)
    {
        Invariant.That(_phase == Phase.Closed && Received.IsEmpty && _exchange is null, "an object starts clean");
        _listener = listener;
        _phase = asksForHeader ? Phase.AwaitingProxyHeader : Phase.AwaitingHead;
    }

    // 1. Accepted: the head's deadline runs from here, whatever trickles in.
    public override void OnAccepted()
    {
        if (!HasPlace)
        {
            TellThatFull();
            return;
        }

        _headTimed = true;
        Loop.Timers.Arm(this, Loop.NowMs + Timeouts.HeadMs);
        if (IsDraining)
        {
            BeginDrain(DrainWindowMs);
        }

        Loop.Receive(this);
    }

    public override void OnReceived(LoopBuffer? buffer, int result)
    {
        if (_exchange is { IsTunnel: true } tunnel)
        {
            tunnel.OnTunnelReceived(buffer, result);
            return;
        }

        if (result <= 0)
        {
            OnEnded(result);
            return;
        }

        Proxy.Metrics.BytesFromClients += result;
        BringsMuch = result >= Loop.WorthMovingBytes;
        if (_phase == Phase.Lingering)
        {
            Linger(buffer!, result);
            return;
        }

        if (!Received.Append(buffer!, result, Loop.Buffers))
        {
            Abort(Outcome.OutOfMemory);
            return;
        }

        if (_exchange is { } exchange)
        {
            exchange.OnClientReceived();
        }
        else if (_phase == Phase.AwaitingHead)
        {
            ReadHead();
        }
        else if (_phase == Phase.AwaitingProxyHeader)
        {
            ReadProxyHeader();
        }
    }

    // 2. A head, complete or not.
    private void ReadHead()
    {
        var status = RequestParser.Parse(Received.Span, _seen, _listener!.Settings.Limits, Proxy.RequestHead, out var refusal);
        switch (status)
        {
            case ParseStatus.Done:
                _seen = 0;
                _headTimed = false;
                if (Received.Length > Proxy.RequestHead.Length && HttpPipeline.MayRunAhead(Proxy.RequestHead) && _listener.Forwarder?.Concerns(Address) != true)
                {
                    RunAhead();
                }
                else
                {
                    BeginExchange().Begin(Proxy.RequestHead);
                }

                return;

            case ParseStatus.Invalid:
                BeginExchange().GiveUpHead(ErrorResponses.Of(refusal), Outcome.ClientMalformed);
                return;

            default:
                if (HasEnded)
                {
                    Abort(Outcome.ClientAborted);
                    return;
                }

                _seen = Received.Length;
                if (Received.MoveUp())
                {
                    ReadHead();
                    return;
                }

                Received.Compact(Loop.Buffers);
                if (!_headTimed)
                {
                    _headTimed = true;
                    Loop.Timers.Arm(this, Loop.NowMs + Timeouts.HeadMs);
                }

                WatchClient();
                return;
        }
    }

    /// <summary>More follows a head: as many of the requests that wait there are sent as may go ahead of their answers, or the first alone.</summary>
    private void RunAhead()
    {
        var pipeline = Proxy.RentPipeline();
        if (pipeline.TryBegin(this))
        {
            _phase = Phase.Exchanging;
            _pipeline = pipeline;
            WatchClient();

            // The first lane's connection may have been of no use any more; then its request goes alone, now.
            pipeline.Pump();
            return;
        }

        // The heads behind the first were read into the same place.
        var preferred = pipeline.FirstChoice;
        Proxy.Recycle(pipeline);
        var status = RequestParser.Parse(Received.Span, 0, _listener!.Settings.Limits, Proxy.RequestHead, out _);
        Invariant.That(status == ParseStatus.Done, "the same bytes say the same twice");
        BeginExchange().Begin(Proxy.RequestHead, preferred);
    }

    private HttpExchange BeginExchange()
    {
        Proxy.Metrics.Requests++;
        var exchange = RentExchange();
        exchange.BeginRecord();
        return exchange;
    }

    /// <summary>An exchange for a request that was counted when it was sent ahead.</summary>
    internal HttpExchange BeginPipelinedExchange() => RentExchange();

    private HttpExchange RentExchange()
    {
        Invariant.That(_exchange is null, "one exchange at a time");
        _phase = Phase.Exchanging;
        _exchange = Proxy.RentExchange(this);
        return _exchange;
    }

    internal override void OnWorkerAvailable() => _exchange!.OnWorkerAvailable();

    internal override void OnDisplaced() => _exchange!.OnDisplaced();

    internal override void OnPoolReplaced(LoopPool successor) => _exchange!.OnPoolReplaced(successor);

    internal override Listener? CameBy => _listener;

    internal override LoopPool? GoesTo => _exchange?.Pool ?? _pipeline?.Pool;

    public override int Priority => _exchange?.Priority ?? QueueSettings.DefaultPriority;

    public override void OnSent(int result)
    {
        if (_exchange is { } exchange)
        {
            exchange.OnClientSent(result);
            return;
        }

        Invariant.That(_pipeline is not null, "only who answers sends to the client");
        _pipeline.OnClientSent(result);
    }

    public override void OnMoved(in MoveResult result)
    {
        Invariant.That(_exchange is not null, "what is moved is the body of a request");
        if (_exchange.IsTunnel)
        {
            _exchange.OnTunnelMoved(result);
            return;
        }

        Proxy.Metrics.BytesFromClients += result.Bytes;
        _exchange.NoteRequestMoved(result.Bytes);
        if (result.End is MoveEnd.SourceEnded or MoveEnd.SourceFailed)
        {
            OnEnded(result.Error);
        }
        else
        {
            _exchange.OnRequestMoved(result);
        }
    }

    public override void OnTimer()
    {
        switch (_phase)
        {
            case Phase.Exchanging when _exchange is { } exchange:
                exchange.OnClientTimer();
                break;
            case Phase.Exchanging:
                _pipeline!.OnClientTimer();
                break;
            case Phase.AwaitingHead when !Received.IsEmpty:
                BeginExchange().GiveUpHead(ErrorResponses.HeadTimeout, Outcome.ClientTimeout);
                break;
            default:
                // Idle, or connected in advance and never used: nothing was asked, so nothing is answered. Or it has lingered enough.
                Loop.Close(this);
                break;
        }
    }

    private void OnEnded(int result)
    {
        HasEnded = true;
        if (result < 0)
        {
            Abort(Outcome.ClientAborted);
            return;
        }

        switch (_phase)
        {
            case Phase.Exchanging:
                // What ran ahead was asked in whole, and is answered although nothing more will be asked.
                _exchange?.OnClientEnded();
                break;
            case Phase.AwaitingHead when !Received.IsEmpty:
                Abort(Outcome.ClientAborted);
                break;
            default:
                Loop.Close(this);
                break;
        }
    }

    /// <summary>Listens to the client when nothing of it is held: for its next bytes, or for its leaving.</summary>
    internal void WatchClient()
    {
        if (IsOpen && !IsReceiving && !HasEnded && (Received.IsEmpty || _phase == Phase.AwaitingHead))
        {
            Loop.Receive(this);
        }
    }

    // 10. The next request, or the end.

    /// <summary>The exchange is over and has had its outcome; its object is not to be touched by its methods any more.</summary>
    /// <param name="close">Whether the connection ends with it.</param>
    /// <param name="saidLast">Whether the client said that this request was its last, and all of it has come.</param>
    internal void EndExchange(bool close, bool saidLast)
    {
        GiveBackExchange();
        if (_pipeline is not { } pipeline)
        {
            Proceed(close, saidLast);
        }
        else if (!close)
        {
            pipeline.Pump();
        }
        else
        {
            Invariant.That(pipeline.IsOver, "only the last of several answers ends the connection");
            EndPipeline(close: true);
        }
    }

    /// <summary>All requests that ran ahead are answered, and their pipeline is not to be touched by its methods any more.</summary>
    internal void EndPipeline(bool close)
    {
        GiveBackPipeline();
        Proceed(close, saidLast: false);
    }

    private void Proceed(bool close, bool saidLast)
    {
        if (close)
        {
            End(saidLast);
            return;
        }

        _phase = Phase.AwaitingHead;
        if (!Received.IsEmpty)
        {
            ReadHead();
            return;
        }

        Loop.Timers.Arm(this, Loop.NowMs + Timeouts.KeepAliveMs);
        if (IsDraining)
        {
            // Its last answer did not say that the connection closes; a request that is on its way now still gets one that does.
            BeginDrain(DrainWindowMs);
        }

        WatchClient();
    }

    private void GiveBackPipeline()
    {
        Proxy.Recycle(_pipeline!);
        _pipeline = null;
    }

    private void GiveBackExchange()
    {
        Proxy.Recycle(_exchange!);
        _exchange = null;
    }
}
