using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Simulation;

/// <summary>Who lives in the world: its workers, its clients, and what these will ask for.</summary>
internal sealed partial class SimWorld
{
    private const int MaxAttempts = 3;

    private void MakeWorkers()
    {
        var count = 1 + _chance.Next(3);
        for (var slot = 0; slot < count; slot++)
        {
            AddWorker(slot, 1, isTcp: false);
            AddWorker(slot, 1, isTcp: true);
        }

        if (_mood.Unrest > 0)
        {
            Publish(0);
            Publish(1);
            return;
        }

        for (var pool = 0; pool < 2; pool++)
        {
            var isTcp = pool == 1;
            _pools[pool].Publish(new Core.Balancing.WorkerSet(_workers.Where(w => w.IsTcp == isTcp).Select(w => w.Worker), []));
        }
    }

    /// <summary>A quarter of the unquiet worlds has breakers, limits and retries of all kinds, tight enough to be met.</summary>
    private PoolSettings Guarded(PoolSettings settings, RandomSource chance)
    {
        if (_mood.IsCalm || !chance.Chance(0.25))
        {
            return settings;
        }

        return settings with
        {
            Limits = new LoadLimits
            {
                WorkerRequests = chance.Chance(0.5) ? 1 + chance.Next(3) : 0,
                WorkerConnections = chance.Chance(0.3) ? 1 + chance.Next(3) : 0,
                Requests = chance.Chance(0.3) ? 1 + chance.Next(4) : 0,
                Connections = chance.Chance(0.3) ? 1 + chance.Next(4) : 0,
            },
            Breaker = chance.Chance(0.5) ? new BreakerPlan(Circuit(chance)) { SlowAfterMs = 20 } : null,
            PoolBreaker = chance.Chance(0.2) ? new BreakerPlan(Circuit(chance)) : null,
            Queue = new QueueSettings { Length = chance.Chance(0.5) ? 1024 : chance.Next(4), PriorityHeader = chance.Chance(0.5) ? "X-Client" : null },
            Retries = new RetrySettings
            {
                Attempts = chance.Next(1 + MaxAttempts),
                On = (RetryOn)chance.Next(32),
                BackoffMs = chance.Next(200),
                AttemptMs = chance.Chance(0.5) ? 0 : 10 + chance.Next(100),
                MaxBackoffMs = 400,
            },
            RateLimits = chance.Chance(0.3) ? [new RateLimitSettings("all", KeySource.Everyone, "", 2, 1 + chance.Next(5))] : [],
            Fallback = chance.Chance(0.2) ? new FallbackSettings(null, ErrorResponse.Static(503, "text/plain", "closed\n"u8.ToArray())) : null,
            SlowStartMs = chance.Chance(0.3) ? 2_000 : 0,
        };
    }

    private static BreakerSettings Circuit(RandomSource chance) => new()
    {
        FailuresToOpen = 1 + chance.Next(4),
        OpenMs = 50 + chance.Next(2_000),
        MaxOpenMs = 5_000,
        Probes = 1 + chance.Next(2),
        SuccessesToClose = 1 + chance.Next(2),
    };

    /// <summary>How readily the loop moves bytes. Drawn apart, so that the rest of a seed's world stays as it was.</summary>
    private void DrawMoving(RandomSource chance)
    {
        ReadOnlySpan<int> worth = [1, 100, 1_000, 10_000, 64 * 1024, int.MaxValue];
        _loop.WorthMoving = worth[chance.Next(worth.Length)];
        _loop.Joins = true;
        _loop.RefusesMoves = chance.Chance(0.5) ? 0 : chance.NextDouble();
        _loop.YieldsMoves = chance.Chance(0.5) ? 0 : chance.NextDouble() * 0.3;
    }

    private void MakeClients()
    {
        for (var i = 0; i < _mood.Clients; i++)
        {
            var address = new ClientAddress((uint)((192 << 24) + (168 << 16) + i + 1), (ushort)(40_000 + i));
            var hello = Hello(address, isTcp: false, out var named, out var isShutOut, out var isRefused);
            List<SimRequest> requests = [];
            var onlyReads = _chance.Chance(_mood.IsPipelined ? 0.8 : 0.1);
            var count = 1 + _chance.Next(onlyReads ? 40 : _chance.Chance(0.2) ? 20 : 4);
            for (var n = 0; n < count; n++)
            {
                var request = MakeRequest(named, onlyReads);
                request.IsShutOut = isShutOut;
                request.MostArrivals = 2 + (_reloadChance > 0 && !_mood.IsCalm ? MaxAttempts : _pools[0].Settings.Retries.Attempts);
                _requests.Add(request);
                requests.Add(request);
                if (request.HasBrokenHead || request.HasBrokenBody || request.AsksToClose || request.WantsUpgrade
                    || (request.IsHttp10 && _mood.IsCalm))
                {
                    break;
                }
            }

            var total = hello.Length + requests.Sum(r => r.Head.Length + r.Body.Length);
            var isRude = !_mood.IsCalm && _chance.Chance(0.3);
            var manners = new ClientManners
            {
                Hello = hello,
                IsRefused = isRefused,
                IgnoresGoodbyes = !_mood.IsCalm && _hasWebSockets && _webSockets.Chance(0.2),
                Depth = _chance.Chance(onlyReads ? 0.1 : 0.5) ? 1 : 1 + _chance.Next(onlyReads ? 40 : 10),
                BreakAfterWritten = isRude && _chance.Chance(0.5) ? _chance.Next(total + 1) : -1,
                BreakAfterRead = isRude && _chance.Chance(0.3) ? _chance.Next(2_000) : -1,
                StallAfterWritten = isRude && _chance.Chance(0.3) ? _chance.Next(total + 1) : -1,
                BreaksWithReset = _chance.Chance(0.5),
                EndsAfterLast = !_mood.IsCalm && _chance.Chance(0.3),
                Stays = _chance.Chance(0.3),
                Sluggishness = _chance.Chance(0.7) ? 0 : _chance.NextDouble() * 0.95,
                PauseMs = _chance.Chance(0.7) ? 0 : 1_500,
            };
            _clients.Add(new SimClient(_network, () => _network.ConnectTo(0, address), requests, manners));
        }

        for (var i = 0; i < _mood.TcpClients; i++)
        {
            var address = new ClientAddress((uint)((192 << 24) + (168 << 16) + 256 + i), (ushort)(50_000 + i));
            var length = 1 + _chance.Next(_mood.LargestRequestBody);
            var breakAfter = _mood.IsCalm || _chance.Chance(0.7) ? -1 : _chance.Next(length);
            var hello = Hello(address, isTcp: true, out var named, out var isShutOut, out _);
            _tcpClients.Add(new SimTcpClient(_network, () => _network.ConnectTo(1, address), (byte)i, length, breakAfter) { Hello = hello, Address = named, IsShutOut = isShutOut });
        }
    }

    private SimRequest MakeRequest(string address, bool isRead)
    {
        ReadOnlySpan<string> methods = ["GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE"];
        var method = methods[_chance.Next(isRead ? 3 : methods.Length)];
        var request = new SimRequest { Id = _requests.Count, Method = method, ClientAddress = address };
        var oddity = isRead ? 0.02 : 0.1;
        request.IsHttp10 = _chance.Chance(oddity);
        request.AsksToClose = request.IsHttp10 ? _chance.Chance(0.7) : _chance.Chance(oddity);
        var keeps = request.IsHttp10 && !request.AsksToClose;
        var hasBody = method is "POST" or "PUT" || (method == "DELETE" && _chance.Chance(0.3));
        request.WantsUpgrade = !hasBody && !request.IsHttp10 && method == "GET" && (_chance.Chance(oddity) | IsWebSocket(request));
        var length = !hasBody && !request.WantsUpgrade ? 0
            : _chance.Chance(0.1) ? 0
            : _chance.Next(1 + (_chance.Chance(0.3) ? _mood.LargestRequestBody : Math.Min(_mood.LargestRequestBody, 500)));
        request.BodyLength = length;
        var body = Pattern.Make(request.Id, Pattern.Request, hasBody ? length : 0);
        var chunked = hasBody && !request.IsHttp10 && _chance.Chance(0.5);
        request.Expects = hasBody && length > 0 && !request.IsHttp10 && _chance.Chance(0.15);
        request.HasBrokenHead = !_mood.IsCalm && _chance.Chance(0.05);
        request.HasBrokenBody = !_mood.IsCalm && chunked && length > 0 && !request.HasBrokenHead && _chance.Chance(0.15);
        request.Body = chunked ? SimRequest.Chunked(body, _chance.Next) : body;
        if (request.HasBrokenBody)
        {
            // One byte of framing is wrong: the first chunk's end, which stands in front of a line end that is always there.
            var end = request.Body.AsSpan().IndexOf("\r\n"u8);
            request.Body[end] = (byte)'\n';
        }

        var framing = chunked ? "Transfer-Encoding: chunked\r\n" : hasBody ? $"Content-Length: {length}\r\n" : "";
        var padding = _chance.Chance(0.1) ? $"X-Padding: {new string('p', _chance.Next(Math.Min(20_000, 20 * Math.Min(1_000, _mood.LargestRequestBody))))}\r\n" : "";
        request.IsLost = !_mood.IsCalm && _chance.Chance(0.03);
        var path = OwnPath(request) ?? (request.IsLost ? "/none" : "/r/");
        var head = $"{method} {path}{request.Id} HTTP/1.{(request.IsHttp10 ? 0 : 1)}\r\n"
            + (request.IsHttp10 && _chance.Chance(0.5) ? "" : "Host: example.com\r\n")
            + $"X-Id: {request.Id}\r\nX-Length: {body.Length}\r\nX-Forwarded-For: 6.6.6.6\r\n{padding}{framing}"
            + (request.Expects ? "Expect: 100-continue\r\n" : "")
            + (request.WantsUpgrade ? $"Connection: Upgrade, X-Gone\r\nUpgrade: {request.UpgradesTo}\r\nX-Gone: 1\r\n"
                : keeps ? "Connection: keep-alive\r\n"
                : request.AsksToClose && !request.IsHttp10 ? "Connection: close\r\n"
                : "")
            + "\r\n";
        if (request.HasBrokenHead)
        {
            head = Break(head);
            request.Expects = false;
        }

        request.Head = SimRequest.Bytes(head);
        return request;
    }

    private string Break(string head) => _chance.Next(7) switch
    {
        0 => head.Replace("X-Id:", "X-Id :", StringComparison.Ordinal),
        1 => head.Replace("X-Length: ", "Content-Length: 7\r\nContent-Length: 8\r\nX-Length: ", StringComparison.Ordinal),
        2 => head.Replace("X-Id: ", "X-Id: \u0001", StringComparison.Ordinal),
        3 => head.Replace("X-Length: ", "Transfer-Encoding: gzip\r\nX-Length: ", StringComparison.Ordinal),
        4 => head.Replace(" HTTP/1.", " HTTP/3.", StringComparison.Ordinal),
        5 => head.Replace("X-Id: ", "Host: a\r\nHost: b\r\nX-Id: ", StringComparison.Ordinal),
        _ => head.Replace("X-Id: ", " X-Id: ", StringComparison.Ordinal),
    };
}
