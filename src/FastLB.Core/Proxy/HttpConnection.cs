using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

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
/// The steps of the connection stand here (1, 2, 10); those of a request (3 to 9) in <see cref="HttpExchange"/>, which is there
/// only while a request is. So an idle connection is this one small object and holds no buffer; a busy one holds at most one
/// buffer in each direction.
/// </summary>
public sealed class HttpConnection : ClientConnection
{
    private const int LingerMs = 2_000;
    private const int LingerBytes = 1024 * 1024;

    private enum Phase : byte
    {
        Closed,
        AwaitingHead,
        Exchanging,
        Lingering,
    }

    private HttpListener? _listener;
    private HttpExchange? _exchange;
    private int _seen;
    private int _lingeredBytes;
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

    /// <summary>True once the client has ended its sending direction.</summary>
    internal bool HasEnded { get; private set; }

    internal void Open(HttpListener listener)
    {
        Invariant.That(_phase == Phase.Closed && Received.IsEmpty && _exchange is null, "an object starts clean");
        _listener = listener;
        _phase = Phase.AwaitingHead;
    }

    // 1. Accepted: the head's deadline runs from here, whatever trickles in.
    public override void OnAccepted()
    {
        _headTimed = true;
        Loop.Timers.Arm(this, Loop.NowMs + Timeouts.HeadMs);
        if (Proxy.IsDraining)
        {
            BeginDrain(Proxy.DrainWindowMs);
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
        else
        {
            ReadHead();
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
                BeginExchange().Begin(Proxy.RequestHead);
                return;

            case ParseStatus.Invalid:
                BeginExchange().Refuse(refusal);
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

    private HttpExchange BeginExchange()
    {
        _phase = Phase.Exchanging;
        _exchange = Proxy.RentExchange(this);
        return _exchange;
    }

    internal override void OnWorkerAvailable() => _exchange!.OnWorkerAvailable();

    public override void OnSent(int result)
    {
        Invariant.That(_exchange is not null, "only an exchange sends to the client");
        _exchange.OnClientSent(result);
    }

    public override void OnTimer()
    {
        switch (_phase)
        {
            case Phase.Exchanging:
                _exchange!.OnClientTimer();
                break;
            case Phase.AwaitingHead when !Received.IsEmpty:
                BeginExchange().Answer(ErrorResponses.HeadTimeout, Outcome.ClientTimeout, close: true);
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
                _exchange!.OnClientEnded();
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
        if (Proxy.IsDraining)
        {
            // Its last answer did not say that the connection closes; a request that is on its way now still gets one that does.
            BeginDrain(Proxy.DrainWindowMs);
        }

        WatchClient();
    }

    /// <summary>Closes after the last answer, in steps unless the client has nothing more to say (RFC 9112 9.6).</summary>
    private void End(bool saidLast)
    {
        var clientIsDone = HasEnded || (saidLast && Received.IsEmpty);
        Received.Release();
        if (clientIsDone)
        {
            Loop.Close(this);
            return;
        }

        _phase = Phase.Lingering;
        _lingeredBytes = 0;
        Loop.ShutdownSend(this);
        Loop.Timers.Arm(this, Loop.NowMs + LingerMs);
        if (!IsReceiving)
        {
            Loop.Receive(this);
        }
    }

    private void Linger(LoopBuffer buffer, int length)
    {
        buffer.Release();
        _lingeredBytes += length;
        if (_lingeredBytes > LingerBytes)
        {
            Loop.Close(this);
            return;
        }

        Loop.Receive(this);
    }

    /// <summary>Ends request and connection at once. What the client has of an answer is cut off visibly.</summary>
    internal void Abort(Outcome outcome)
    {
        _exchange?.GiveUp(outcome);
        Loop.Close(this, reset: true);
    }

    internal override void BeginDrain(int windowMs)
    {
        if (_phase == Phase.AwaitingHead && Received.IsEmpty && IsOpen)
        {
            Loop.Timers.Arm(this, Loop.NowMs + 1 + Loop.Random.Next(Math.Max(1, windowMs)));
        }
    }

    internal override void CutOff()
    {
        if (IsOpen)
        {
            Abort(Outcome.DrainDeadline);
        }
    }

    public override void OnClosed()
    {
        Invariant.That(!IsQueued, "a connection closes after its request has ended");
        Received.Release();
        if (_exchange is not null)
        {
            GiveBackExchange();
        }

        _phase = Phase.Closed;
        _listener = null;
        _seen = 0;
        _headTimed = false;
        HasEnded = false;
        Proxy.Recycle(this);
    }

    private void GiveBackExchange()
    {
        Proxy.Recycle(_exchange!);
        _exchange = null;
    }
}
