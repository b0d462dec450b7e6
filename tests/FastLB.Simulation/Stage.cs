using System.Net;
using System.Text;
using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;
using FastLB.Core.Routing;
using HttpListener = FastLB.Core.Proxy.HttpListener;
using TcpListener = FastLB.Core.Proxy.TcpListener;

namespace FastLB.Simulation;

/// <summary>
/// The real proxy on the simulated kernel, for one scene written by hand: what clients and workers say is spelled out byte by byte, and
/// nothing is left to chance. After each line <see cref="Settle"/> runs everything until nothing moves any more.
/// </summary>
internal sealed class Stage
{
    private readonly Queue<StageSocket> _accepted = new();

    internal Stage(
        Timeouts? timeouts = null, BufferPool? buffers = null, StickySettings? sticky = null, int workers = 1, NetworkMood? mood = null,
        string? path = null, string[]? hosts = null, int pipelineDepth = 16,
        Acceleration acceleration = Acceleration.Auto, RouteRule[]? routes = null, Func<ListenerSettings, ListenerSettings>? listening = null,
        Func<PoolSettings, PoolSettings>? pooling = null, ConnectionPlaces? places = null, Core.Recording.AccessLogFilter? accessLog = null)
    {
        Network = new SimNetwork(new RandomSource(1), mood ?? new NetworkMood(), e => FateOf(e), (e, socket) => _accepted.Enqueue(new StageSocket(socket, e)))
        {
            IsForced = true,
        };
        Loop = new SimLoop(Network, buffers ?? new BufferPool(), 1);
        var settings = new PoolSettings
        {
            Name = "app",
            Strategy = new StrategyPlan("round-robin"),
            Sticky = sticky,
            Acceleration = acceleration,
            Timeouts = timeouts ?? Timeouts.Default,
            PipelineDepth = pipelineDepth,
        };
        settings = pooling?.Invoke(settings) ?? settings;
        Pool = new Pool(settings, sticky: sticky is null ? null : new StickyCookie("app", sticky, new byte[32]));
        Workers = [.. Enumerable.Range(0, workers).Select(slot => MakeWorker(slot, 1))];
        Pool.Publish(new WorkerSet(Workers, []));
        Proxy = new ProxyLoop(Loop, [Pool]);
        RouteRule[] rules = routes ?? (hosts is null ? [new RouteRule(null, path, "app")] : [.. hosts.Select(h => new RouteRule(h, path, "app"))]);
        var listener = new ListenerSettings
        {
            Bind = Endpoint.Ip(IPAddress.Loopback, 8000),
            Routes = rules,
            Timeouts = timeouts ?? Timeouts.Default,
            AccessLog = accessLog,
        };
        listener = listening?.Invoke(listener) ?? listener;
        Http = new HttpListener(Proxy, listener, new RouteTable(rules, Switches), places: places);
        Tcp = new TcpListener(Proxy, listener with { Routes = [new RouteRule(null, null, "app")] }, places: places);
        Loop.Listen(Http, Network.OpenBacklog());
        Loop.Listen(Tcp, Network.OpenBacklog());
    }

    internal SimNetwork Network { get; }

    internal SimLoop Loop { get; }

    internal ProxyLoop Proxy { get; }

    internal Pool Pool { get; }

    internal Worker[] Workers { get; }

    internal HttpListener Http { get; }

    internal RouteSwitches Switches { get; } = new();

    internal TcpListener Tcp { get; }

    /// <summary>How connects to a worker end; by default they succeed.</summary>
    internal Func<Endpoint, ConnectFate> FateOf { get; set; } = _ => ConnectFate.Accepted;

    internal static Worker MakeWorker(int slot, int generation) =>
        new("app", slot, generation, Endpoint.Ip(new IPAddress([10, 0, (byte)generation, (byte)slot]), 80), loops: 1);

    internal StageSocket Client(string says = "", bool tcp = false, ClientAddress? from = null)
    {
        var client = new StageSocket(Network.ConnectTo(tcp ? 1 : 0, from ?? new ClientAddress(0xC0A80001, 40_000))!, null);
        if (says.Length > 0)
        {
            client.Say(says);
        }

        Settle();
        return client;
    }

    /// <summary>The next connection that a worker accepted.</summary>
    internal StageSocket NextAtWorker()
    {
        Settle();
        Assert.NotEmpty(_accepted);
        return _accepted.Dequeue();
    }

    internal bool HasMoreAtWorkers => _accepted.Count > 0;

    /// <summary>Until nothing moves. Time stands still.</summary>
    internal void Settle()
    {
        long before;
        do
        {
            before = Network.Activity;
            Network.Deliver();
            Loop.RunTurn();
        }
        while (Network.Activity != before || Loop.HasPendingPosts);
    }

    /// <summary>Lets time pass, and everything happen that it brings.</summary>
    internal void Pass(int milliseconds)
    {
        var end = Network.NowMs + milliseconds;
        while (Network.NowMs < end)
        {
            var timer = Loop.Timers.MillisecondsToNext(Network.NowMs);
            Network.NowMs = timer < 0 ? end : Math.Min(end, Network.NowMs + Math.Max(1, timer));
            Settle();
        }
    }

    internal long Of(Outcome outcome) => Proxy.Metrics.Of(outcome);

    internal long Outcomes => Enum.GetValues<Outcome>().Sum(Of);
}

/// <summary>A client's or a worker's end of a connection on the stage.</summary>
internal sealed class StageSocket(SimSocket socket, Endpoint? endpoint)
{
    private readonly byte[] _chunk = new byte[128 * 1024];
    private readonly StringBuilder _heard = new();

    internal Endpoint? Endpoint { get; } = endpoint;

    internal SimSocket Socket { get; } = socket;

    internal bool IsEnded { get; private set; }

    internal bool IsReset { get; private set; }

    /// <summary>Everything that has come so far.</summary>
    internal string Heard
    {
        get
        {
            while (!IsEnded && !IsReset && !Socket.IsClosed)
            {
                var count = Socket.Read(_chunk);
                if (count > 0)
                {
                    _heard.Append(Encoding.Latin1.GetString(_chunk, 0, count));
                    continue;
                }

                IsEnded = count == 0;
                IsReset = count == -IoError.ConnectionReset;
                break;
            }

            return _heard.ToString();
        }
    }

    /// <summary>How the connection stands after all that has come was read.</summary>
    internal string End => Heard is not null && IsReset ? "reset" : IsEnded ? "ended" : "open";

    internal void Say(string text) => Say(Encoding.Latin1.GetBytes(text));

    internal void Say(byte[] bytes) => Assert.Equal(bytes.Length, Socket.Write(bytes));
}
