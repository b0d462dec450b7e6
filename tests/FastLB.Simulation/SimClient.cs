using System.Globalization;
using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>How a simulated client behaves, besides what it asks for.</summary>
internal sealed record ClientManners
{
    /// <summary>What it says before its first request: a PROXY header, or nothing.</summary>
    public byte[] Hello { get; init; } = [];

    /// <summary>Because of that it does not get a single byte.</summary>
    public bool IsRefused { get; init; }

    /// <summary>It goes on with a WebSocket that it was told to close.</summary>
    public bool IgnoresGoodbyes { get; init; }

    /// <summary>How many requests it sends ahead of their answers.</summary>
    public int Depth { get; init; } = 1;

    /// <summary>It breaks off once it has written this many bytes; -1: never.</summary>
    public int BreakAfterWritten { get; init; } = -1;

    /// <summary>It breaks off once it has read this many bytes; -1: never.</summary>
    public int BreakAfterRead { get; init; } = -1;

    public bool BreaksWithReset { get; init; }

    /// <summary>It ends its sending side behind its last request.</summary>
    public bool EndsAfterLast { get; init; }

    /// <summary>It stays when it has its answers and waits to be closed.</summary>
    public bool Stays { get; init; }

    /// <summary>The chance, each time, that it does not read now.</summary>
    public double Sluggishness { get; init; }

    /// <summary>Bytes after which it stops writing for good, with its connection open; -1: never.</summary>
    public int StallAfterWritten { get; init; } = -1;

    /// <summary>How long it rests before each request, in milliseconds, at most.</summary>
    public int PauseMs { get; init; }
}

/// <summary>
/// A client of the HTTP listener, outside the loop: it sends its requests, reads the answers with a reader of its own, and checks
/// that each is the answer to the oldest of its requests that has none, unaltered and not cut.
/// </summary>
internal sealed class SimClient(SimNetwork network, Func<SimSocket?> connect, IReadOnlyList<SimRequest> requests, ClientManners manners) : MessageReader
{
    private readonly ByteQueue _out = new();
    private readonly byte[] _chunk = new byte[64 * 1024];
    private SimSocket? _socket;
    private int _queued;
    private int _answered;
    private long _written;
    private long _read;
    private long _restUntilMs = -1;
    private bool _bodyDue;
    private bool _isOver;
    private long _bodyDueMs;
    private bool _endSent;
    private string? _cookie;

    // The answer that is being read.
    private int _status;
    private bool _isForeign;
    private long _bodyRead;
    private long _statedLength;

    // The tunnel after an upgrade.
    private int _tunnelLength;
    private int _tunnelQueued;
    private long _tunnelRead;
    private SimFrames? _frames;
    private bool _closeQueued;

    internal bool IsDone { get; private set; }

    /// <summary>When it wants to be woken, or -1.</summary>
    internal long WakeMs => IsDone ? -1
        : _bodyDue && _bodyDueMs > network.NowMs ? _bodyDueMs
        : _restUntilMs > network.NowMs ? _restUntilMs
        : -1;

    internal SimRequest? TunnelRequest { get; private set; }

    internal long TunnelRead => _tunnelRead;

    internal bool SawCleanEnd { get; private set; }

    /// <summary>FastLB has ended its WebSocket, and not its worker or itself.</summary>
    internal bool IsToldToClose => _frames?.CloseCode is 1001 or 1012;

    internal string? StickyCookie => _cookie;

    private SimRequest Current => requests[_answered];

    internal void Act()
    {
        if (IsDone)
        {
            return;
        }

        if (_socket is null)
        {
            if (network.IsDelayed())
            {
                return;
            }

            _socket = connect();
            if (_socket is null)
            {
                IsDone = true;
                return;
            }

            _out.Append(manners.Hello);
        }

        if (!network.IsDelayed())
        {
            Write();
        }

        if (!IsDone && (network.IsForced || manners.Sluggishness == 0 || !network.Chance.Chance(manners.Sluggishness)))
        {
            Read();
        }
    }

    internal void Break(bool reset)
    {
        network.Trace?.Invoke($"client: of {requests[0].Id} leaves");
        _socket?.Close(reset);
        IsDone = true;
    }

    private void Write()
    {
        QueueMore();
        while (_out.Count > 0)
        {
            var allowed = manners.StallAfterWritten < 0 ? int.MaxValue : (int)Math.Max(0, manners.StallAfterWritten - _written);
            if (manners.BreakAfterWritten >= 0)
            {
                allowed = (int)Math.Min(allowed, Math.Max(0, manners.BreakAfterWritten - _written));
            }

            var count = Math.Min(allowed, network.Portion(_out.Count));
            if (count == 0)
            {
                break;
            }

            var sent = _socket!.Write(_out.Span[..count]);
            if (sent < 0)
            {
                if (sent != -IoError.TryAgain)
                {
                    // What the server said before it stopped listening is still read.
                    _out.Clear();
                }

                break;
            }

            _out.Drop(sent);
            _written += sent;
            if (network.Mood.MaxMove != int.MaxValue)
            {
                break;
            }
        }

        if (manners.BreakAfterWritten >= 0 && _written >= manners.BreakAfterWritten)
        {
            Break(manners.BreaksWithReset);
            return;
        }

        var isLast = _queued == requests.Count && !_bodyDue && _out.Count == 0 && _tunnelQueued == _tunnelLength;
        if (isLast && !_endSent && ((IsRaw && (_frames is null || (_closeQueued && _frames.CloseCode >= 0))) || (manners.EndsAfterLast && TunnelRequest is null && !requests[^1].WantsUpgrade)))
        {
            _endSent = true;
            _socket!.ShutdownWrite();
        }
    }

    private void QueueMore()
    {
        if (_bodyDue && network.NowMs >= _bodyDueMs)
        {
            SendBody();
        }

        while (_queued < requests.Count && !_isOver && !_bodyDue && !IsRaw && _queued - _answered < manners.Depth && _out.Count < 256 * 1024)
        {
            if (manners.PauseMs > 0 && _queued == _answered)
            {
                _restUntilMs = _restUntilMs < 0 ? network.NowMs + network.Chance.Next(manners.PauseMs) : _restUntilMs;
                if (network.NowMs < _restUntilMs)
                {
                    return;
                }

                _restUntilMs = -1;
            }

            var request = requests[_queued++];
            network.Trace?.Invoke($"client: asks {request.Method} {request.Id}");
            var cookie = _cookie is null || request.HasBrokenHead ? [] : SimRequest.Bytes($"Cookie: a=b; {_cookie}\r\n");
            var lineEnd = request.Head.AsSpan().IndexOf("\r\n"u8) + 2;
            if (lineEnd < 2)
            {
                lineEnd = 0;
            }

            _out.Append(request.Head.AsSpan(0, lineEnd));
            _out.Append(lineEnd == 0 ? [] : cookie);
            _out.Append(request.Head.AsSpan(lineEnd));
            if (request.Expects)
            {
                _bodyDue = true;
                _bodyDueMs = network.NowMs + 1 + network.Chance.Next(400);
            }
            else
            {
                _out.Append(request.Body);
            }

            if (request.WantsUpgrade || request.AsksToClose)
            {
                // Nothing may follow until it is known what the connection is now.
                break;
            }
        }

        while (IsRaw && _tunnelQueued < _tunnelLength && _out.Count < 4096)
        {
            var count = Math.Min(_tunnelLength - _tunnelQueued, 1 + network.Chance.Next(1000));
            var bytes = Pattern.Make(TunnelRequest!.Id, Pattern.Tunnel, count, _tunnelQueued);
            _out.Append(_frames is null ? bytes : SimFrames.Make(network.Chance.Chance(0.7) ? (byte)0x82 : (byte)0x02, bytes, isFromClient: true, network.Chance));
            _tunnelQueued += count;
        }

        QueueClose();
    }

    /// <summary>A WebSocket is closed by whoever wants to, and the other side says so too (RFC 6455 7.1.2). Whoever stays waits until it is told.</summary>
    private void QueueClose()
    {
        if (_frames is null || _closeQueued || (IsToldToClose && manners.IgnoresGoodbyes) || (_frames.CloseCode < 0 && (TunnelRequest!.StaysOpen || _tunnelRead < _tunnelLength)))
        {
            return;
        }

        _closeQueued = true;
        _tunnelLength = _tunnelQueued;
        _out.Append(SimFrames.MakeClose(_frames.CloseCode < 0 ? 1000 : _frames.CloseCode, isFromClient: true, network.Chance));
    }

    private void SendBody()
    {
        _bodyDue = false;
        _out.Append(requests[_queued - 1].Body);
    }

    private void Read()
    {
        var count = _socket!.Read(_chunk.AsSpan(0, network.Portion(_chunk.Length)));
        if (count == -IoError.TryAgain)
        {
            return;
        }

        if (count <= 0)
        {
            OnEnd(isReset: count < 0);
            return;
        }

        if (manners.IsRefused)
        {
            throw new SimulationFailedException($"the client of {requests[0].Id}, which must not come in, got {count} bytes");
        }

        _read += count;
        Feed(_chunk.AsSpan(0, count));
        if (manners.BreakAfterRead >= 0 && _read >= manners.BreakAfterRead)
        {
            Break(manners.BreaksWithReset);
            return;
        }

        if (!IsRaw && (_isOver || _answered == requests.Count) && !manners.Stays && IsBetweenMessages)
        {
            Break(reset: false);
        }
    }

    private void OnEnd(bool isReset)
    {
        network.Trace?.Invoke($"client: sees {(isReset ? "a reset" : "the end")} with {_answered} answers to {_queued} of {requests.Count} requests, of which the first is {requests[0].Id}");
        if (!isReset)
        {
            SawCleanEnd = true;
            EndWithConnection();
        }

        Break(reset: isReset);
    }

    protected override BodyShape OnHead()
    {
        var parts = StartLine.Split(' ', 3);
        if (parts.Length < 2 || !parts[0].StartsWith("HTTP/1.1", StringComparison.Ordinal))
        {
            throw new SimulationFailedException($"the client read '{StartLine}' where an answer begins");
        }

        _status = int.Parse(parts[1], CultureInfo.InvariantCulture);
        if (_queued == 0 && requests[0].IsShutOut && _status == 400)
        {
            // What it said first is taken for a request, and is none.
            _queued = 1;
            _isOver = true;
        }

        if (_answered >= _queued)
        {
            throw new SimulationFailedException($"the client got '{StartLine}', for which it did not ask");
        }

        var request = Current;
        var id = Header("X-Id");
        if (id is not null && id != request.Id.ToString(CultureInfo.InvariantCulture))
        {
            throw new SimulationFailedException($"the answer to {id} came where the one to {request.Id} belongs");
        }

        if (id is not null && (request.HasBrokenHead || request.IsShutOut || request.LocalStatus > 0))
        {
            throw new SimulationFailedException($"a worker answered {request.Id}, which it must not see");
        }

        _isForeign = id is null;
        if (_isForeign && !(_status == request.LocalStatus || _status is 400 or 404 or 405 or 408 or 411 or 413 or 414 or 417 or 429 or 431 or 501 or 502 or 503 or 504 or 505))
        {
            throw new SimulationFailedException($"the balancer made up '{StartLine}'");
        }

        if (_status < 200 && request.IsHttp10)
        {
            throw new SimulationFailedException("an HTTP/1.0 client got an informational answer");
        }

        if (Header("Set-Cookie") is { } cookie && cookie.StartsWith("FASTLB=", StringComparison.Ordinal))
        {
            _cookie = cookie.Split(';')[0];
        }

        _bodyRead = 0;
        network.Trace?.Invoke($"client: '{StartLine}' for {request.Method} {request.Id}");
        _statedLength = Header("X-Length") is { } length ? long.Parse(length, CultureInfo.InvariantCulture) : -1;
        if (_status == 101)
        {
            if (!request.WantsUpgrade)
            {
                throw new SimulationFailedException("a tunnel opened for a request that did not ask for one");
            }

            TunnelRequest = request;
            _frames = request.IsWebSocket ? new SimFrames(isFromClient: false) : null;
            _tunnelLength = request.BodyLength;
            MarkAnswered(request);
            return BodyShape.Raw;
        }

        return _status is < 200 or 204 or 304 || request.Method == "HEAD" ? BodyShape.None
            : Header("Content-Length") is null && Header("Transfer-Encoding") is null ? BodyShape.UntilEnd
            : BodyShape.Framed;
    }

    protected override void OnBody(ReadOnlySpan<byte> bytes)
    {
        if (!_isForeign)
        {
            Pattern.Check(bytes, Current.Id, Pattern.Response, _bodyRead, "the client's answer");
        }
        else
        {
            Current.Complaint += System.Text.Encoding.Latin1.GetString(bytes);
        }

        _bodyRead += bytes.Length;
    }

    protected override void OnMessageEnd()
    {
        var request = Current;
        if (_status is >= 100 and < 200)
        {
            if (_status == 100 && _bodyDue && _answered == _queued - 1)
            {
                SendBody();
            }

            return;
        }

        var hasBody = request.Method != "HEAD" && _status is not (204 or 304);
        if (!_isForeign && hasBody && _statedLength != _bodyRead && !request.IsCutUnseen)
        {
            throw new SimulationFailedException($"an answer to {request.Id} that was cut after {_bodyRead} of {_statedLength} bytes looks complete");
        }

        if (_bodyDue && _answered == _queued - 1)
        {
            // Answered before it sent its body: it never will, and so nothing may follow on this connection.
            _bodyDue = false;
            _isOver = true;
        }

        MarkAnswered(request);
    }

    protected override void OnRaw(ReadOnlySpan<byte> bytes)
    {
        if (_frames is { } frames)
        {
            frames.Feed(bytes, TakeTunnel);
            if (frames.CloseCode is not (-1 or 1000 or 1001 or 1012))
            {
                throw new SimulationFailedException($"the WebSocket of {TunnelRequest!.Id} was closed with {frames.CloseCode}");
            }

            return;
        }

        TakeTunnel(bytes);
    }

    private void TakeTunnel(ReadOnlySpan<byte> bytes)
    {
        Pattern.Check(bytes, TunnelRequest!.Id, Pattern.Tunnel, _tunnelRead, "the client's tunnel");
        _tunnelRead += bytes.Length;
    }

    private void MarkAnswered(SimRequest request)
    {
        request.IsAnswered = true;
        request.AnsweredStatus = _status;
        request.IsAnsweredByWorker = !_isForeign;
        network.Note();
        _answered++;
    }
}
