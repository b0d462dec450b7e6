using System.Globalization;
using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
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
internal sealed class SimWorker(
    SimNetwork network, Worker worker, WorkerManners manners, bool isTcp, ProxyVersion header, Func<int, string> addressOf, Func<int, SimRequest> requestOf)
{
    private readonly List<WorkerConnection> _connections = [];

    internal Worker Worker { get; set; } = worker;

    /// <summary>What stood for it under earlier settings of its pool. They share its counts.</summary>
    internal List<Worker> Former { get; } = [];

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

    internal void Accept(SimSocket socket) => _connections.Add(new WorkerConnection(network, socket, manners, IsTcp, header, addressOf, requestOf));

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
