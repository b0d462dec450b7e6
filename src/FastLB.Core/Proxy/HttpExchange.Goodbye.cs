using FastLB.Core.Http;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// How an upgraded connection ends: by itself, after its silence, after its lifetime, or because FastLB or its worker stops. A WebSocket is told first, at a time that
/// chance chooses within a window, so that not all clients come back at once; then its answer is awaited for a bounded time. All of that goes by the one timer
/// of the client's connection.
/// </summary>
internal sealed partial class HttpExchange
{
    /// <summary>How long the client's answer to its close frame is awaited.</summary>
    private const int AnswerMs = 2_000;

    /// <summary>How long our own close frame towards a worker may take, and how long a WebSocket whose life is over may stay in the middle of a frame.</summary>
    private const int LastWordMs = 1_000;

    private bool _wantsWebSocket;
    private ushort _goodbyeCode;
    private bool _workerTold;
    private bool _isLifeOver;

    // Moments in milliseconds of the loop's clock; 0 for what is not to come.
    private long _quietEndMs;
    private long _goodbyeMs;
    private long _answerEndMs;
    private long _lifeEndMs;

    /// <summary>Whether the connection goes to this worker, upgraded.</summary>
    internal bool IsTunnelTo(Balancing.Worker worker) => _phase == Phase.Tunnel && worker.IsSameAs(_upstreamPool?.Worker);

    /// <summary>A WebSocket ends within the window. Of two wishes the earlier one counts; other connections have no way of ending politely.</summary>
    internal void SayGoodbye(ushort code, int windowMs)
    {
        // One that is being closed stays in the list of open ones until it is, and must not wait for a time.
        if (_phase != Phase.Tunnel || !_wantsWebSocket || !_client!.IsOpen || _relay!.HasToldClient)
        {
            return;
        }

        var moment = Loop.NowMs + 1 + Loop.Random.Next(Math.Max(1, windowMs));
        if (_goodbyeMs == 0 || moment < _goodbyeMs)
        {
            _goodbyeMs = moment;
            _goodbyeCode = code;
            ArmTunnel();
        }
    }

    private void BeginTunnelTimes()
    {
        var lifetimeMs = PoolTimeouts.TunnelLifetimeMs;
        _lifeEndMs = lifetimeMs > 0 ? Loop.NowMs + lifetimeMs : 0;
        if (_client!.IsDraining)
        {
            SayGoodbye(WebSocketClose.GoingAway, GoodbyeWindowMs(ClientTimeouts));
        }
    }

    /// <summary>The first half of the time that there is; in the second the last ones answer, and those that do not are cut off at its end.</summary>
    internal static int GoodbyeWindowMs(Timeouts timeouts) => timeouts.DrainMs / 2;

    /// <summary>Bytes have come or gone, so the silence begins anew.</summary>
    private void RestartSilence()
    {
        var silenceMs = PoolTimeouts.TunnelMs;
        _quietEndMs = Loop.NowMs + (_relay!.IsHalfClosed ? Math.Min(silenceMs, ClientTimeouts.BodyMs) : silenceMs);
        if (_relay.HasToldClient && _answerEndMs == 0)
        {
            _answerEndMs = Loop.NowMs + AnswerMs;
            _goodbyeMs = 0;
        }

        ArmTunnel();
    }

    private void ArmTunnel()
    {
        var moment = _quietEndMs;
        moment = _goodbyeMs > 0 ? Math.Min(moment, _goodbyeMs) : moment;
        moment = _answerEndMs > 0 ? Math.Min(moment, _answerEndMs) : moment;
        moment = _lifeEndMs > 0 ? Math.Min(moment, _lifeEndMs) : moment;
        Loop.Timers.Arm(_client!, moment);
    }

    private void OnTunnelTimer()
    {
        var now = Loop.NowMs;
        if (_answerEndMs > 0 && now >= _answerEndMs)
        {
            OnNoAnswerToGoodbye();
        }
        else if (_goodbyeMs > 0 && now >= _goodbyeMs)
        {
            _goodbyeMs = 0;
            _relay!.TellToClose(_goodbyeCode);
            AfterRelay();
        }
        else if (_lifeEndMs > 0 && now >= _lifeEndMs)
        {
            OnLifeOver();
        }
        else if (_relay!.HasMoved())
        {
            AfterRelay();
        }
        else if (now < _quietEndMs)
        {
            ArmTunnel();
        }
        else
        {
            // Nobody has said that this was all, so nobody may take it for that.
            SetOutcome(Outcome.Completed);
            CloseBoth(reset: true);
        }
    }

    private void OnNoAnswerToGoodbye()
    {
        if (_workerTold)
        {
            SetOutcome(Outcome.Completed);
            CloseBoth(reset: false);
            return;
        }

        _workerTold = true;
        _answerEndMs = Loop.NowMs + LastWordMs;
        _relay!.TellWorker();
        AfterRelay();
    }

    private void OnLifeOver()
    {
        if (!_wantsWebSocket || _isLifeOver)
        {
            SetOutcome(Outcome.Completed);
            CloseBoth(reset: true);
            return;
        }

        _isLifeOver = true;
        _lifeEndMs = Loop.NowMs + AnswerMs + (2 * LastWordMs);
        _relay!.TellToClose(WebSocketClose.GoingAway);
        AfterRelay();
    }

    private void ForgetTunnel()
    {
        _wantsWebSocket = false;
        _workerTold = false;
        _isLifeOver = false;
        _quietEndMs = 0;
        _goodbyeMs = 0;
        _answerEndMs = 0;
        _lifeEndMs = 0;
    }
}
