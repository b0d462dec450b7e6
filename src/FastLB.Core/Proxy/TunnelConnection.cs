using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;

namespace FastLB.Core.Proxy;

/// <summary>
/// A TCP connection's way through the balancer:
/// <list type="number">
/// <item>it is accepted; nothing is read from it yet, the kernel keeps what the client sends, except a PROXY header where one is expected (.Header.cs);</item>
/// <item>a worker is chosen, or the connection waits for one;</item>
/// <item>a connection to the worker is opened; if that fails, once more to another worker;</item>
/// <item>bytes go both ways, each direction ending on its own, until both have ended or nothing moved for too long;</item>
/// <item>both sides close, and the connection has its one outcome.</item>
/// </list>
/// </summary>
public sealed partial class TunnelConnection : ClientConnection, IUpstreamOwner
{
    private TcpListener? _listener;
    private LoopPool? _pool;
    private UpstreamPool? _upstreamPool;
    private UpstreamConnection? _upstream;
    private Worker? _tried;
    private Relay? _relay;
    private bool _retried;
    private bool _outcomePending;
    private long _quietSinceMs;
    private long _lifeEndMs;
    private RequestRecord? _record;

    internal TunnelConnection(ProxyLoop proxy)
        : base(proxy)
    {
    }

    ClientConnection IUpstreamOwner.Client => this;

    /// <summary>How often the bytes of a joined connection are counted.</summary>
    private const int CountMs = 1_000;

    private int SilenceMs => _relay!.IsHalfClosed
        ? Math.Min(_listener!.Settings.Timeouts.TunnelMs, _listener.Settings.Timeouts.BodyMs)
        : _listener!.Settings.Timeouts.TunnelMs;

    private LoopPool Pool => _pool!;

    internal void Open(TcpListener listener, bool asksForHeader)
    {
        _listener = listener;
        _awaitsHeader = asksForHeader;
        _pool = listener.Pool;
    }

    // 1. Accepted.
    public override void OnAccepted()
    {
        _outcomePending = true;
        _record = _listener!.Settings.AccessLog is { } filter ? Proxy.Recorder.RentFor(filter) : null;
        if (_record is not null)
        {
            _record.Facts.BeganNs = Loop.NowNs;
        }

        Proxy.Metrics.TcpConnections++;
        Pool.Counters.Requests++;
        Pool.Budget.Deposit();
        if (_awaitsHeader)
        {
            Loop.Timers.Arm(this, Loop.NowMs + _listener!.Settings.Timeouts.HeadMs);
            Loop.Receive(this);
            return;
        }

        ChooseWorker();
    }

    internal override void OnWorkerAvailable() => ChooseWorker(hasWaited: true);

    internal override Listener? CameBy => _listener;

    internal override LoopPool? GoesTo => _outcomePending ? _pool : null;

    internal override void OnPoolReplaced(LoopPool successor)
    {
        _pool = successor;
        if (!successor.TryWait(this))
        {
            End(Outcome.QueueFull, reset: true);
        }
    }

    internal override void OnDisplaced() => End(Outcome.QueueFull, reset: true);

    // 2. A worker, or the queue.
    private void ChooseWorker(bool hasWaited = false)
    {
        _pool = Pool.Current;
        Pool.Refresh();
        switch (Pool.TryChoose(RequestRoute.AffinityOf(Pool, Address), _tried, hasWaited, out var chosen, out var admission))
        {
            case Choosing.Chosen:
                Connect(chosen!, admission);
                break;
            case Choosing.Refused:
                End(Outcome.BreakerOpen, reset: true);
                break;
            default:
                WaitForWorker(hasWaited);
                break;
        }
    }

    private void WaitForWorker(bool hasWaited)
    {
        if (!Pool.TryWait(this))
        {
            End(Outcome.QueueFull, reset: true);
        }
        else if (!hasWaited)
        {
            Loop.Timers.Arm(this, Loop.NowMs + Pool.Timeouts.QueueMs);
        }
    }

    // 3. A connection to it.
    private void Connect(UpstreamPool chosen, in Admission admission)
    {
        if (chosen.TryConnect(this) is not { } connection)
        {
            // The last connection that the worker may have went to another loop.
            admission.GiveBack(chosen.Pool, chosen.Worker, AttemptResult.Abandoned, Loop);
            WaitForWorker(hasWaited: false);
            return;
        }

        _upstreamPool = chosen;
        _upstream = connection;
        if (_record is { } record)
        {
            record.Facts.QueueNs = record.Facts.QueueNs < 0 ? Loop.NowNs - record.Facts.BeganNs : record.Facts.QueueNs;
            record.Facts.Slot = chosen.Worker.Slot;
        }

        connection.Hold(admission);
        Loop.Timers.Arm(_upstream, Loop.NowMs + Pool.Timeouts.ConnectMs);
        Loop.Timers.Arm(this, Loop.NowMs + _listener!.Settings.Timeouts.TunnelMs);
    }

    public void OnUpstreamConnected(int result)
    {
        if (result < 0)
        {
            OnConnectFailed(Outcome.ConnectFailed, blame: !IoError.IsLocalExhaustion(-result));
            return;
        }

        _upstreamPool!.NoteConnected();
        _upstream!.AnsweredStatus = 200;
        Loop.Timers.Cancel(_upstream!);
        if (_record is { } record)
        {
            record.Facts.ConnectNs = Loop.NowNs - record.Facts.BeganNs - record.Facts.QueueNs;
        }

        var lifetimeMs = _listener!.Settings.Timeouts.TunnelLifetimeMs;
        _lifeEndMs = lifetimeMs > 0 ? Loop.NowMs + lifetimeMs : long.MaxValue;

        // 4. Bytes both ways.
        StartRelay();
    }

    private void OnConnectFailed(Outcome outcome, bool blame)
    {
        if (blame)
        {
            _upstreamPool!.NoteConnectFailure();
        }

        _tried = _upstreamPool!.Worker;
        LeaveUpstream(failed: true);
        if (_retried || !Pool.Budget.TryWithdraw(Loop.NowMs))
        {
            End(outcome, reset: true);
            return;
        }

        _retried = true;
        Proxy.Metrics.Retries++;
        ChooseWorker();
    }

    public override void OnReceived(LoopBuffer? buffer, int result)
    {
        if (_awaitsHeader)
        {
            OnHeaderReceived(buffer, result);
            return;
        }

        _relay!.OnClientReceived(buffer, result);
        AfterRelay();
    }

    public override void OnSent(int result)
    {
        _relay!.OnClientSent(result);
        AfterRelay();
    }

    public void OnUpstreamReceived(LoopBuffer? buffer, int result)
    {
        _relay!.OnUpstreamReceived(buffer, result);
        AfterRelay();
    }

    public void OnUpstreamSent(int result)
    {
        _relay!.OnUpstreamSent(result);
        AfterRelay();
    }

    public override void OnMoved(in MoveResult result)
    {
        _relay!.OnClientMoved(result);
        AfterRelay();
    }

    public void OnUpstreamMoved(in MoveResult result)
    {
        _relay!.OnUpstreamMoved(result);
        AfterRelay();
    }

    private void AfterRelay()
    {
        // 5. The end.
        switch (_relay!.State)
        {
            case RelayState.Finished:
                End(Outcome.Completed, reset: false);
                break;
            case RelayState.ClientBroke:
                End(Outcome.ClientAborted, reset: true);
                break;
            case RelayState.WorkerBroke:
                End(Outcome.WorkerTruncated, reset: true);
                break;
            default:
                _quietSinceMs = Loop.NowMs;
                ArmTimer();
                break;
        }
    }

    /// <summary>For the moment at which the silence has become too long, or at which bytes that pass by unseen are counted.</summary>
    private void ArmTimer()
    {
        var endMs = Math.Min(_lifeEndMs, _quietSinceMs + SilenceMs);
        Loop.Timers.Arm(this, _relay!.IsJoined ? Math.Min(endMs, Loop.NowMs + CountMs) : endMs);
    }

    public override void OnTimer()
    {
        if (IsQueued)
        {
            Pool.Queue.Remove(this);
            End(Outcome.NoWorker, reset: true);
            return;
        }

        if (_relay is not null && Loop.NowMs >= _lifeEndMs)
        {
            End(Outcome.Completed, reset: true);
            return;
        }

        if (_relay is { } relay && relay.HasMoved())
        {
            AfterRelay();
            return;
        }

        if (_relay is not null && Loop.NowMs < _quietSinceMs + SilenceMs)
        {
            ArmTimer();
            return;
        }

        End(Outcome.ClientTimeout, reset: true);
    }

    public void OnUpstreamTimer() => OnConnectFailed(Outcome.ConnectTimeout, blame: true);

    internal override void BeginDrain(int windowMs)
    {
        // A TCP connection has no point at which it could be ended politely; it runs until it ends or the deadline passes.
    }

    internal override void CutOff()
    {
        if (IsOpen && _outcomePending)
        {
            End(Outcome.DrainDeadline, reset: true);
        }
        else if (IsOpen)
        {
            // The loop has not yet told that it was accepted, so nothing was begun.
            Loop.Close(this, reset: true);
        }
    }

    public override void OnClosed()
    {
        if (_relay is { } relay)
        {
            _relay = null;
            Proxy.Recycle(relay);
        }

        Leave(_listener!.Doorway);
        _received.Release();
        _awaitsHeader = false;
        _wasRead = false;
        _listener = null;
        _pool = null;
        _tried = null;
        _retried = false;
        Proxy.Recycle(this);
    }

    private void End(Outcome outcome, bool reset)
    {
        Invariant.That(_outcomePending, "a connection has one outcome");
        _outcomePending = false;
        Proxy.Metrics.Count(outcome);
        Pool.Counters.Count(outcome);
        WriteDown(outcome);
        if (IsQueued)
        {
            Pool.Queue.Remove(this);
        }

        LeaveUpstream(failed: false, reset);
        Loop.Close(this, reset);
    }

    private void WriteDown(Outcome outcome)
    {
        if (_record is not { } record)
        {
            return;
        }

        _record = null;
        record.Facts.Id = Proxy.Recorder.NextId();
        record.Facts.Client = Address;
        record.Facts.TotalNs = Loop.ReadClockNs() - record.Facts.BeganNs;
        record.Facts.BytesIn = _relay?.BytesFromClient ?? 0;
        record.Facts.BytesOut = _relay?.BytesToClient ?? 0;
        record.Facts.Retries = (ushort)(_retried ? 1 : 0);
        record.Facts.Outcome = outcome;
        record.Facts.Flags = RecordFlags.Tcp;
        Proxy.Recorder.Write(record, _listener!.Settings.AccessLog, _listener.NameBytes, Pool.NameBytes);
    }

    private void LeaveUpstream(bool failed, bool reset = true)
    {
        if (_upstream is not { } upstream)
        {
            return;
        }

        upstream.Forsake(failed);
        Loop.Close(upstream, reset);
        _upstream = null;
        _upstreamPool = null;
    }
}
