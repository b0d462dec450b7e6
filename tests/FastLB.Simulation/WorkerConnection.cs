using System.Globalization;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>One connection that a worker accepted.</summary>
internal sealed partial class WorkerConnection(
    SimNetwork network, SimSocket socket, WorkerManners manners, bool isTcp, ProxyVersion header, Func<int, string> addressOf, Func<int, SimRequest> requestOf) : MessageReader
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
    private bool _closeQueued;

    private readonly SimProxyHeader? _header = header == ProxyVersion.None ? null : new SimProxyHeader(header);
    // The rest of a frame that comes later, with all that comes behind it.
    private readonly ByteQueue _held = new();
    private long _heldUntilMs;
    private readonly SimFrames _frames = new(isFromClient: true);

    internal bool IsClosed => socket.IsClosed;

    internal long WakeMs => _held.Count > 0 ? _heldUntilMs : _answer is not null && !_answerQueued && (_requestIsComplete || _isEarly) ? _answerAtMs : -1;

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
        if (_held.Count > 0 && network.NowMs >= _heldUntilMs)
        {
            _out.Append(_held.Span);
            _held.Clear();
        }

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

        if (_held.Count > 0)
        {
            return;
        }

        if (_closeQueued && !_endSent && !_endSeen)
        {
            if (!_isLeaving)
            {
                _isLeaving = true;
                socket.ShutdownWrite();
            }
        }
        else if (_answerQueued)
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
        if (IsTunnel && _out.Count + _held.Count > 4096)
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

        var bytes = _header is null ? _chunk.AsSpan(0, count) : _header.Take(_chunk.AsSpan(0, count));
        count = bytes.Length;
        if (bytes.IsEmpty)
        {
            network.Note();
        }
        else if (isTcp)
        {
            OnRaw(bytes);
        }
        else if (!_isLeaving)
        {
            if (IsHolding && _requestIsComplete && !(_answerQueued && _out.Count == 0 && _then == Then.Stay))
            {
                _aheadBytes = _unread.Count + count;
            }

            _unread.Append(bytes);
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
        if (request.HasBrokenHead || request.IsLost || request.IsShutOut || request.LocalStatus > 0)
        {
            throw new SimulationFailedException($"{request.Id} reached a worker, which must not see it");
        }

        if (_aheadBytes > 0)
        {
            CheckAhead(request);
        }

        network.Trace?.Invoke($"worker: got '{line}'{(_aheadBytes > 0 ? " ahead" : "")}");
        request.Arrivals++;
        if (request.Arrivals > (request.IsIdempotent ? request.MostArrivals : 1))
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

        if (_header is not null && (_header.Source != request.ClientAddress || _persistentAnswers > 0))
        {
            throw new SimulationFailedException($"{request.Id} came as request {_persistentAnswers} on a connection of {_header.Source} and is of {request.ClientAddress}");
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
        if (start > 0 && _header is not null && _header.Source != addressOf(_tunnelIdentity))
        {
            throw new SimulationFailedException($"TCP client {_tunnelIdentity} came as {_header.Source} and is {addressOf(_tunnelIdentity)}");
        }

        network.Note();
        if (_request?.IsWebSocket == true)
        {
            _frames.Feed(bytes, EchoFrame);
            QueueClose();
            return;
        }

        Pattern.Check(bytes[start..], _tunnelIdentity, Pattern.Tunnel, _tunnelRead + start, "the worker's tunnel");
        _tunnelRead += bytes.Length;
        _out.Append(bytes);
    }

    private void EchoFrame(ReadOnlySpan<byte> payload)
    {
        Pattern.Check(payload, _tunnelIdentity, Pattern.Tunnel, _tunnelRead, "the worker's WebSocket");
        _tunnelRead += payload.Length;
        SendFrame(SimFrames.Make(0x82, payload, isFromClient: false, network.Chance));
    }

    /// <summary>Now and then it rests in the middle of a frame.</summary>
    private void SendFrame(byte[] frame)
    {
        if (_held.Count > 0)
        {
            _held.Append(frame);
            return;
        }

        var now = network.Chance.Chance(0.2) ? network.Chance.Next(frame.Length) : frame.Length;
        _heldUntilMs = network.NowMs + 1 + network.Chance.Next(3_000);
        _out.Append(frame.AsSpan(0, now));
        _held.Append(frame.AsSpan(now));
    }

    /// <summary>Says that it has heard the other side say goodbye, and nothing afterwards.</summary>
    private void QueueClose()
    {
        if (_frames.CloseCode >= 0 && !_closeQueued)
        {
            _closeQueued = true;
            SendFrame(SimFrames.MakeClose(_frames.CloseCode, isFromClient: false, network.Chance));
        }
    }
}
