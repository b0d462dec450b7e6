using System.Globalization;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>What simulated workers do wrong, besides being slow. A calm world has none of it.</summary>
internal sealed record WorkerManners
{
    /// <summary>The chance that an answer is malformed, cut, missing, too early, or followed by bytes too many.</summary>
    public double Fault { get; init; }

    /// <summary>The chance that an answer is the last on its connection, whose end ends it.</summary>
    public double Closing { get; init; } = 0.33;

    /// <summary>It closes a connection with requests unread on it, which resets it; a polite worker reads them first and throws them away.</summary>
    public bool ClosesAbruptly { get; init; }

    /// <summary>The chance, each round, that a connection without a request is closed.</summary>
    public double IdleClose { get; init; }

    public int LargestBody { get; init; } = 2_000;

    public int DelayMs { get; init; }
}

/// <summary>
/// A worker's process, outside the loop. It accepts while it lives, reads requests with a reader of its own and answers each with
/// a body that tells whose it is.
/// </summary>
internal sealed class SimWorker(SimNetwork network, Worker worker, WorkerManners manners, bool isTcp, Func<int, SimRequest> requestOf)
{
    private readonly List<WorkerConnection> _connections = [];

    internal Worker Worker { get; } = worker;

    internal ConnectFate Fate { get; set; } = ConnectFate.Accepted;

    internal bool IsTcp { get; } = isTcp;

    /// <summary>How many requests had come when the worker left the pool; none may come afterwards. -1 while it is in it.</summary>
    internal long RequestsWhenLeft { get; set; } = -1;

    internal IReadOnlyList<WorkerConnection> Connections => _connections;

    internal long WakeMs
    {
        get
        {
            var wake = long.MaxValue;
            foreach (var connection in _connections)
            {
                wake = connection.WakeMs > network.NowMs ? Math.Min(wake, connection.WakeMs) : wake;
            }

            return wake == long.MaxValue ? -1 : wake;
        }
    }

    internal void Accept(SimSocket socket) => _connections.Add(new WorkerConnection(network, socket, manners, IsTcp, requestOf));

    internal void Act()
    {
        for (var i = _connections.Count - 1; i >= 0; i--)
        {
            if (!network.IsDelayed())
            {
                _connections[i].Act();
            }

            if (_connections[i].IsClosed)
            {
                _connections.RemoveAt(i);
            }
        }
    }

    /// <summary>The process ends, and with it all its connections: with a reset, or with what the kernel makes of an exit.</summary>
    internal void Die(bool reset)
    {
        Fate = ConnectFate.Refused;
        foreach (var connection in _connections)
        {
            connection.Die(reset);
        }

        _connections.Clear();
    }
}

/// <summary>One connection that a worker accepted.</summary>
internal sealed class WorkerConnection(
    SimNetwork network, SimSocket socket, WorkerManners manners, bool isTcp, Func<int, SimRequest> requestOf) : MessageReader
{
    private enum Then
    {
        Stay,
        End,
        Reset,
        Hang,
    }

    private readonly ByteQueue _out = new();
    private readonly ByteQueue _unread = new();
    private readonly byte[] _chunk = new byte[64 * 1024];
    private SimRequest? _request;
    private SimRequest? _previous;
    private int _aheadBytes;
    private int _persistentAnswers;
    private bool _isLeaving;
    private long _bodyRead;
    private long _statedLength;
    private byte[]? _answer;
    private long _answerAtMs;
    private int _answerEnd;
    private Then _then;
    private bool _answerIsUnframed;
    private bool _isEarly;
    private bool _requestIsComplete;
    private bool _answerQueued;
    private long _tunnelRead;
    private int _tunnelIdentity = -1;
    private bool _answerIsUpgrade;
    private bool _endSeen;
    private bool _endSent;

    internal bool IsClosed => socket.IsClosed;

    internal long WakeMs => _answer is not null && !_answerQueued && (_requestIsComplete || _isEarly) ? _answerAtMs : -1;

    private bool IsTunnel => isTcp || IsRaw;

    internal void Act()
    {
        Write();
        if (!IsClosed)
        {
            Read();
        }
    }

    internal void Die(bool reset)
    {
        if (_request is { } request && _answerIsUnframed && !reset)
        {
            request.IsCutUnseen = true;
        }

        // A stream without framing of its own that is cut by an exit looks whole to everybody; only a reset shows it.
        socket.Close(reset || IsTunnel);
    }

    private void Write()
    {
        if (_answer is not null && !_answerQueued && (_requestIsComplete || _isEarly) && network.NowMs >= _answerAtMs)
        {
            _answerQueued = true;
            network.Trace?.Invoke($"worker: answers {_request!.Id} with {_answerEnd} of {_answer.Length} bytes, then {_then}");
            _out.Append(_answer.AsSpan(0, _answerEnd));
        }

        if (_out.Count > 0)
        {
            var sent = socket.Write(_out.Span[..network.Portion(_out.Count)]);
            if (sent > 0)
            {
                _out.Drop(sent);
            }
            else if (sent != -IoError.TryAgain)
            {
                Die(reset: true);
                return;
            }
        }

        if (_out.Count > 0)
        {
            return;
        }

        if (_answerQueued)
        {
            FinishAnswer();
        }
        else if (IsTunnel && _endSeen && !_endSent)
        {
            _endSent = true;
            socket.Close();
        }
        else if (!isTcp && _request is null && !IsRaw && IsBetweenMessages && manners.IdleClose > 0 && network.Chance.Chance(manners.IdleClose))
        {
            socket.Close(reset: network.Chance.Chance(0.3));
        }
    }

    private void FinishAnswer()
    {
        switch (_then)
        {
            case Then.Hang:
                return;
            case Then.Reset:
                Die(reset: true);
                return;
            case Then.End:
                if (_answerEnd < _answer!.Length)
                {
                    Die(reset: false);
                }
                else
                {
                    Leave();
                }

                return;
        }

        if (!_requestIsComplete)
        {
            return;
        }

        _answer = null;
        _answerQueued = false;
        _previous = _request;
        _request = null;
        _persistentAnswers++;
        FeedUnread();
    }

    /// <summary>After its last answer it ends its stream, and closes when the other side has seen that (RFC 9112 9.6).</summary>
    private void Leave()
    {
        if (manners.ClosesAbruptly)
        {
            socket.Close();
        }
        else if (!_isLeaving)
        {
            _isLeaving = true;
            socket.ShutdownWrite();
        }
    }

    /// <summary>It looks at one request at a time; those that were sent ahead wait.</summary>
    protected override bool IsHolding => _request is not null && !IsRaw;

    private void FeedUnread()
    {
        while (_unread.Count > 0 && !IsClosed)
        {
            var taken = Feed(_unread.Span);
            if (taken == 0)
            {
                return;
            }

            _aheadBytes = Math.Max(0, _aheadBytes - taken);
            _unread.Drop(taken);
        }
    }

    private void Read()
    {
        if (IsTunnel && _out.Count > 4096)
        {
            return;
        }

        var count = socket.Read(_chunk.AsSpan(0, network.Portion(_chunk.Length)));
        if (count == -IoError.TryAgain || (count == 0 && _endSeen))
        {
            return;
        }

        if (count <= 0)
        {
            _endSeen = true;
            if (count < 0 || !IsTunnel)
            {
                socket.Close(reset: count < 0);
            }

            return;
        }

        if (isTcp)
        {
            OnRaw(_chunk.AsSpan(0, count));
        }
        else if (!_isLeaving)
        {
            if (IsHolding && _requestIsComplete && !(_answerQueued && _out.Count == 0 && _then == Then.Stay))
            {
                _aheadBytes = _unread.Count + count;
            }

            _unread.Append(_chunk.AsSpan(0, count));
            if (_answerQueued && _out.Count == 0 && _requestIsComplete && _then == Then.Stay)
            {
                FinishAnswer();
            }
            else
            {
                FeedUnread();
            }
        }
    }

    protected override void OnStartLine(string line)
    {
        var parts = line.Split(' ');
        if (parts.Length != 3 || parts[2] != "HTTP/1.1" || !parts[1].StartsWith("/r/", StringComparison.Ordinal))
        {
            throw new SimulationFailedException($"a worker got '{line}'");
        }

        if (_request is not null)
        {
            throw new SimulationFailedException($"a worker got '{line}' before it had answered {_request.Id}");
        }

        var request = requestOf(int.Parse(parts[1].AsSpan("/r/".Length), CultureInfo.InvariantCulture));
        if (request.HasBrokenHead || request.IsLost)
        {
            throw new SimulationFailedException($"the malformed head of {request.Id} reached a worker");
        }

        if (_aheadBytes > 0)
        {
            CheckAhead(request);
        }

        network.Trace?.Invoke($"worker: got '{line}'{(_aheadBytes > 0 ? " ahead" : "")}");
        request.Arrivals++;
        if (request.Arrivals > (request.IsIdempotent ? 3 : 1))
        {
            throw new SimulationFailedException($"{request.Method} {request.Id} reached {request.Arrivals} workers");
        }

        _request = request;
    }

    /// <summary>What was sent before the one in front of it was answered: of the same client, harmless, and to a worker that is up to it.</summary>
    private void CheckAhead(SimRequest request)
    {
        var previous = _previous!;
        if (request.ClientAddress != previous.ClientAddress)
        {
            throw new SimulationFailedException($"{request.Id} was sent behind {previous.Id} of another client");
        }

        if (!request.MayRunAhead || !previous.MayRunAhead)
        {
            throw new SimulationFailedException($"{request.Method} {request.Id} was sent ahead of the answer to {previous.Method} {previous.Id}");
        }

        if (_persistentAnswers < 2)
        {
            throw new SimulationFailedException($"{request.Id} was sent ahead on a connection that had answered nothing before");
        }
    }

    protected override BodyShape OnHead()
    {
        var request = _request!;
        if (Header("X-Id") != request.Id.ToString(CultureInfo.InvariantCulture))
        {
            throw new SimulationFailedException($"the head of {request.Id} came with the id {Header("X-Id")}");
        }

        if (Header("X-Forwarded-For") != request.ClientAddress)
        {
            throw new SimulationFailedException($"{request.Id} came for {Header("X-Forwarded-For")} and is of {request.ClientAddress}");
        }

        if (Header("Cookie")?.Contains("FASTLB", StringComparison.Ordinal) == true)
        {
            throw new SimulationFailedException("a worker saw the balancer's cookie");
        }

        _bodyRead = 0;
        _requestIsComplete = false;
        _statedLength = long.Parse(Header("X-Length") ?? "0", CultureInfo.InvariantCulture);
        Plan(request);
        if (_answerIsUpgrade)
        {
            _out.Append(_answer);
            _answer = null;
            _requestIsComplete = true;
            _tunnelIdentity = request.Id;
            return BodyShape.Raw;
        }

        return BodyShape.Framed;
    }

    protected override void OnBody(ReadOnlySpan<byte> bytes)
    {
        Pattern.Check(bytes, _request!.Id, Pattern.Request, _bodyRead, "the worker's request");
        _bodyRead += bytes.Length;
    }

    protected override void OnMessageEnd()
    {
        var request = _request!;
        if (request.HasBrokenBody)
        {
            throw new SimulationFailedException($"the malformed body of {request.Id} was passed on as complete");
        }

        if (_bodyRead != _statedLength)
        {
            throw new SimulationFailedException($"{request.Id} was passed on as complete with {_bodyRead} of {_statedLength} bytes");
        }

        _requestIsComplete = true;
    }

    protected override void OnRaw(ReadOnlySpan<byte> bytes)
    {
        // A TCP client begins with one byte that says who it is.
        var start = _tunnelIdentity < 0 ? 1 : 0;
        _tunnelIdentity = start > 0 ? bytes[0] : _tunnelIdentity;
        Pattern.Check(bytes[start..], _tunnelIdentity, Pattern.Tunnel, _tunnelRead + start, "the worker's tunnel");
        _tunnelRead += bytes.Length;
        _out.Append(bytes);
        network.Note();
    }

    /// <summary>Decides how this request is answered.</summary>
    private void Plan(SimRequest request)
    {
        var chance = network.Chance;
        var isFaulty = manners.Fault > 0 && chance.Chance(manners.Fault);
        var wire = new MemoryStream();
        _answerIsUpgrade = request.WantsUpgrade && Header("Upgrade") == "echo" && !chance.Chance(0.2);
        _answerAtMs = network.NowMs + (manners.DelayMs == 0 ? 0 : chance.Next(manners.DelayMs));
        _answerIsUnframed = false;
        _isEarly = false;
        _then = Then.Stay;
        if (request.Expects && Header("Expect") == "100-continue" && !(isFaulty && chance.Chance(0.3)))
        {
            _out.Append(SimRequest.Bytes($"HTTP/1.1 100 Continue\r\nX-Id: {request.Id}\r\n\r\n"));
        }

        if (_answerIsUpgrade)
        {
            _answer = SimRequest.Bytes($"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\nX-Id: {request.Id}\r\n\r\n");
            return;
        }

        while (chance.Chance(0.1))
        {
            wire.Write(SimRequest.Bytes($"HTTP/1.1 103 Early Hints\r\nLink: </s{chance.Next(100)}>\r\nX-Id: {request.Id}\r\n\r\n"));
        }

        var status = chance.Next(12) switch { 0 => 204, 1 => 304, 2 => 404, _ => 200 };
        if (isFaulty && chance.Chance(0.1))
        {
            status = 401;
            _isEarly = true;
        }

        var length = chance.Chance(0.1) ? 0 : chance.Next(1 + (chance.Chance(0.2) ? manners.LargestBody : Math.Min(manners.LargestBody, 700)));
        var body = Pattern.Make(request.Id, Pattern.Response, length);
        var shape = chance.Chance(manners.Closing) ? 2 : chance.Next(2);
        var head = $"HTTP/1.1 {status} Whatever\r\nX-Id: {request.Id}\r\nX-Length: {length}\r\nKeep-Alive: timeout={1 + chance.Next(6)}\r\n";
        if (shape == 0)
        {
            wire.Write(SimRequest.Bytes($"{head}Content-Length: {length}\r\n\r\n"));
        }
        else if (shape == 1)
        {
            wire.Write(SimRequest.Bytes($"{head}Transfer-Encoding: chunked\r\n\r\n"));
        }
        else
        {
            wire.Write(SimRequest.Bytes($"{head}Connection: close\r\n\r\n"));
            _then = Then.End;
            _answerIsUnframed = true;
        }

        if (request.Method != "HEAD" && status is not (204 or 304))
        {
            wire.Write(shape == 1 ? SimRequest.Chunked(body, chance.Next) : body);
        }

        _answer = wire.ToArray();
        _answerEnd = _answer.Length;
        if (isFaulty && !_isEarly)
        {
            Spoil(chance);
        }
    }

    private void Spoil(RandomSource chance)
    {
        _isEarly = chance.Chance(0.3);
        switch (chance.Next(8))
        {
            case 0:
                // Cut, and seen to be.
                _answerEnd = chance.Next(_answer!.Length);
                _then = chance.Chance(0.5) && !_answerIsUnframed ? Then.End : Then.Reset;
                break;
            case 1:
                _answerEnd = chance.Next(_answer!.Length);
                _then = Then.Hang;
                break;
            case 2:
                _answer = "HTTP/1.1 2OO OK\r\nContent-Length: 1\r\n\r\nx"u8.ToArray();
                _answerEnd = _answer.Length;
                break;
            case 3:
                _answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"u8.ToArray();
                _answerEnd = _answer.Length;
                break;
            case 4:
                _answer = SimRequest.Bytes($"HTTP/1.1 200 OK\r\nX-Id: {_request!.Id}\r\nX-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n");
                _answerEnd = _answer.Length;
                break;
            case 5:
                _isEarly = true;
                break;
            case 6 when !_answerIsUnframed:
                // Bytes that nobody asked for, behind the answer.
                _answer = [.. _answer!, .. "zzz"u8];
                _answerEnd = _answer.Length;
                break;
            default:
                _answerEnd = 0;
                _then = chance.Chance(0.5) ? Then.End : Then.Reset;
                break;
        }
    }
}
