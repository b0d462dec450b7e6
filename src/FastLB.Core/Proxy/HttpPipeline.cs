using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;

namespace FastLB.Core.Proxy;

/// <summary>A request that was sent before those in front of it were answered: what of it has to be known at its turn.</summary>
internal struct PipelinedRequest
{
    /// <summary>Where its rewritten head stands in the pipeline's buffer.</summary>
    internal int Start;
    internal int End;

    /// <summary>How many of the client's bytes it and those before it were.</summary>
    internal int SourceEnd;
    internal Affinity Affinity;
    internal LoopRoute Route;

    /// <summary>When the loop saw it, in nanoseconds of its clock.</summary>
    internal long BeganNs;
    internal RequestMethod Method;
    internal byte Lane;

    /// <summary>The client's bytes.</summary>
    internal int SourceLength;

    /// <summary>What is written down of it; null: nothing. Whoever sees to the request's end writes it.</summary>
    internal RequestRecord? Record;
}

/// <summary>
/// Requests of one client that run ahead. When a client does not wait for answers, its requests stand one behind another in what was
/// received of it; those that are safe and have no body (GET, HEAD, OPTIONS) and go to the same pool are sent at once:
/// <list type="number">
/// <item>their heads are parsed, checked and rewritten one behind another into one buffer (this file);</item>
/// <item>they are dealt in contiguous runs to a few lanes, worker connections that are idle and known to stay open, and
/// each run is sent in one piece (this file); what waits behind another does not wait for its body when it is on another lane;</item>
/// <item>answers are taken in the order of the requests; those that are here as a whole are written one behind another and leave in
/// one send, as soon as the next one is not here (.Answers.cs);</item>
/// <item>any other answer, and any failure, is told to an <see cref="HttpExchange"/>, which takes over the request at its turn.</item>
/// </list>
/// A request that does not belong waits in the received bytes until all of these are answered. Each of these counts for itself: at
/// its worker, in the metrics, and with an outcome of its own. Rented while it is needed; one loop owns it.
/// </summary>
internal sealed partial class HttpPipeline
{
    /// <summary>The most requests of one client that are ahead at a time, on all lanes together.</summary>
    internal const int MaxRequests = 64;

    private const int MaxLanes = 4;

    /// <summary>Headers by which a request has a body, waits for something, or becomes a tunnel.</summary>
    private const uint NotAhead = (1u << (int)HeaderId.ContentLength) | (1u << (int)HeaderId.TransferEncoding)
        | (1u << (int)HeaderId.Expect) | (1u << (int)HeaderId.Upgrade);

    private readonly ProxyLoop _proxy;
    private readonly PipelinedRequest[] _requests = new PipelinedRequest[MaxRequests];
    private readonly PipelineLane[] _lanes = new PipelineLane[MaxLanes];
    private HttpConnection? _client;
    private LoopPool? _pool;
    private LoopBuffer? _heads;
    private int _count;
    private int _next;
    private int _laneCount;
    private int _openLanes;

    internal HttpPipeline(ProxyLoop proxy)
    {
        _proxy = proxy;
        for (var i = 0; i < MaxLanes; i++)
        {
            _lanes[i] = new PipelineLane(this, proxy);
        }
    }

    internal HttpConnection Client => _client!;

    /// <summary>The pool that answers.</summary>
    internal LoopPool? Pool => _pool;

    /// <summary>The worker that was chosen for the first request, whether or not requests ran ahead.</summary>
    internal UpstreamPool? FirstChoice { get; private set; }

    /// <summary>True when every request that ran ahead has had its turn.</summary>
    internal bool IsOver => _next == _count;

    /// <summary>Requests that have begun here and have no outcome yet. One that an exchange took over is not among them.</summary>
    internal int Pending => _count - _next + _gatheredCount;

    private EventLoop Loop => _proxy.Loop;

    /// <summary>Whether a request may be sent before the one in front of it is answered, as far as its head says at a glance.</summary>
    internal static bool MayRunAhead(MessageHead head) =>
        head.Method is RequestMethod.Get or RequestMethod.Head or RequestMethod.Options
        && head.Version == HttpVersion.Http11 && (head.Present & NotAhead) == 0;

    /// <summary>
    /// Sends what waits at the front of the client's received bytes, whose first head the loop's <see cref="ProxyLoop.RequestHead"/>
    /// describes. False, and nothing happened, when there are not two requests to send or no connection to send them on.
    /// </summary>
    internal bool TryBegin(HttpConnection client)
    {
        Invariant.That(_client is null && _count == 0 && _laneCount == 0, "an object starts clean");
        _client = client;
        ReadHeads();
        if (_count < 2 || !OpenLanes())
        {
            ForgetRecords(0);
            _requests.AsSpan(0, _count).Clear();
            _count = 0;
            return false;
        }

        client.Received.Consume(_requests[_count - 1].SourceEnd);
        _proxy.Metrics.Requests += _count;
        _proxy.Metrics.PipelinedRequests += _count;
        _pool!.Counters.Requests += _count;
        _pool.Budget.Deposit(_count);
        SendRuns();
        Loop.Timers.Arm(client, Loop.NowMs + client.Timeouts.BodyMs);
        return true;
    }

    // 1. Heads, as long as they may run ahead and belong to the same pool and session.
    private void ReadHeads()
    {
        var client = _client!;
        var head = _proxy.RequestHead;
        var limits = client.Listener.Settings.Limits;
        var source = client.Received.Span;
        Span<byte> addressText = stackalloc byte[ClientAddress.MaxTextLength];
        client.Address.TryFormat(addressText, out var addressLength);
        var consumed = 0;
        var limit = MaxRequests;
        var end = LoopBuffer.DataOffset;
        while (_count < limit && consumed < source.Length)
        {
            var rest = source[consumed..];
            if (_count > 0 && RequestParser.Parse(rest, 0, limits, head, out _) != ParseStatus.Done)
            {
                return;
            }

            if (!MayRunAhead(head) || RequestRules.Check(rest, head, limits, out var facts) != Refusal.None || facts.Connection.Close
                || client.Listener.Routes.Match(rest, head, facts) is not (>= 0 and var rule)
                || client.Listener.RouteOf(rule) is not { MayRunAhead: true, Pool: { } pool } route)
            {
                return;
            }

            var affinity = RequestRoute.AffinityOf(pool, client.Address, rest, head, facts);
            if (_count == 0)
            {
                if (!MayRunAhead(pool, affinity))
                {
                    return;
                }

                limit = Math.Min(MaxRequests, pool.Pool.Settings.PipelineDepth * LanesWanted());
            }
            else if (!ReferenceEquals(pool, _pool) || affinity != _requests[0].Affinity)
            {
                return;
            }

            var rewrite = new RequestRewrite
            {
                ClientAddress = addressText[..addressLength],
                FallbackHost = client.Listener.FallbackHost,
                StrippedCookie = pool.Sticky is { Strip: true } sticky ? sticky.Name : default,
            };
            var written = HeadRewriter.WriteRequest(rest, head, facts, rewrite, _heads!.Span(end, _heads.DataEnd));
            if (written < 0)
            {
                return;
            }

            consumed += head.Length;
            _requests[_count++] = new PipelinedRequest
            {
                Start = end,
                End = end + written,
                SourceEnd = consumed,
                Affinity = affinity,
                Route = route,
                BeganNs = Loop.NowNs,
                Method = head.Method,
                SourceLength = head.Length,
                Record = RecordOf(rest, head, route),
            };
            end += written;
        }
    }

    /// <summary>
    /// Whether there is any sense in reading on: a worker that is ready for it, and memory. Where requests are admitted one by one, by breakers
    /// and limits, they are also sent one by one.
    /// </summary>
    private bool MayRunAhead(LoopPool pool, in Affinity affinity)
    {
        if (pool.Pool.Settings is { PipelineDepth: < 2 } or { ProxyProtocol: not Forwarding.ProxyVersion.None } || pool.Pool.Guards is { IsGuarded: true } or { RateLimits.Length: > 0 })
        {
            return false;
        }

        FirstChoice = pool.Pick(affinity, tried: null);
        if (FirstChoice is not { HasPersistentIdle: true })
        {
            return false;
        }

        // The heads grow by what the proxy adds; when they outgrow the buffer, the rest of them waits for the next time.
        var room = _client!.Received.Length < BufferPool.MediumCapacity / 4 ? BufferPool.MediumCapacity : BufferPool.LargeCapacity;
        _heads = Loop.Buffers.TryRent(room);
        _pool = pool;
        return _heads is not null;
    }

    /// <summary>What belongs to one worker stays there; everything else may be dealt to as many as there are.</summary>
    private int LanesWanted() => _pool!.MayGoAnywhere ? Math.Clamp(_pool.ReadyCount, 1, MaxLanes) : 1;

    // 2. Lanes, and the runs on them.
    private bool OpenLanes()
    {
        var pool = _pool!;
        var wanted = Math.Min(LanesWanted(), _count);
        for (var chosen = FirstChoice; chosen is not null;)
        {
            _openLanes += _lanes[_laneCount].TryOpen(pool, chosen) ? 1 : 0;
            chosen = ++_laneCount < wanted ? pool.Pick(_requests[0].Affinity, tried: null) : null;
        }

        // What the lanes do not take waits in the received bytes.
        _count = Math.Min(_count, (_openLanes * pool.Pool.Settings.PipelineDepth) + _laneCount - _openLanes);
        ForgetRecords(_count);
        return _openLanes > 0;
    }

    /// <summary>
    /// Open lanes share evenly. A worker that was chosen and has no connection that is known to stay gets one request, alone and at its
    /// turn; so a new worker is not passed over until it has one.
    /// </summary>
    private void SendRuns()
    {
        var first = 0;
        var openLeft = _openLanes;
        for (var i = 0; i < _laneCount; i++)
        {
            if (_lanes[i].Upstream is null)
            {
                _requests[first++].Lane = (byte)i;
                continue;
            }

            var alone = _laneCount - i - openLeft;
            var share = (_count - first - alone + openLeft - 1) / openLeft--;
            foreach (ref var request in _requests.AsSpan(first, share))
            {
                request.Lane = (byte)i;
            }

            _lanes[i].Send(share, _heads!, _requests[first].Start, _requests[first + share - 1].End);
            first += share;
        }
    }

    /// <summary>The client's connection ends now. What has no outcome yet gets this one, and the workers' connections are closed.</summary>
    internal void GiveUp(Outcome outcome)
    {
        for (var i = _next - _gatheredCount; i < _count; i++)
        {
            Count(outcome);
            WriteDown(ref _requests[i], outcome, Loop.NowNs);
        }

        _next = _count;
        _gatheredCount = 0;
        for (var i = 0; i < _laneCount; i++)
        {
            if (_lanes[i].Upstream is not null)
            {
                _lanes[i].Lose(LaneLoss.None);
            }
        }
    }

    private void Count(Outcome outcome)
    {
        _proxy.Metrics.Count(outcome);
        _pool!.Counters.Count(outcome);
    }

    /// <summary>Makes the object ready for another client's requests.</summary>
    internal void Reset()
    {
        Invariant.That(Pending == 0, "a pipeline is over when its requests have ended");
        ForgetRecords(0);
        for (var i = 0; i < _laneCount; i++)
        {
            _lanes[i].Reset();
        }

        _heads?.Release();
        _heads = null;
        _gathered?.Release();
        _gathered = null;
        _client = null;
        _pool = null;
        FirstChoice = null;
        _openLanes = 0;
        _requests.AsSpan(0, _count).Clear();
        _count = 0;
        _next = 0;
        _laneCount = 0;
        _closeAfter = false;
    }
}
