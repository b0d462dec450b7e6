using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>How a worker answers, and what it may do wrong.</summary>
internal sealed partial class WorkerConnection
{
    /// <summary>Decides how this request is answered.</summary>
    private void Plan(SimRequest request)
    {
        var chance = network.Chance;
        var isFaulty = manners.Fault > 0 && chance.Chance(manners.Fault);
        var wire = new MemoryStream();
        _answerIsUpgrade = request.WantsUpgrade && Header("Upgrade") == request.UpgradesTo && !chance.Chance(0.2);
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
            _answer = SimRequest.Bytes($"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: {request.UpgradesTo}\r\nX-Id: {request.Id}\r\n\r\n");
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
