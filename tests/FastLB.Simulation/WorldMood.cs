using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>What kind of world a seed makes: how the wires are, how clients and workers behave, what runs short.</summary>
internal sealed record WorldMood
{
    public required NetworkMood Network { get; init; }

    public required WorkerManners Workers { get; init; }

    public required Timeouts Timeouts { get; init; }

    /// <summary>Nobody does anything wrong: then every request has to be answered by a worker, completely.</summary>
    public bool IsCalm { get; init; }

    public int LargeBuffers { get; init; }

    public int SmallBuffers { get; init; }

    /// <summary>Clients ask for much at once without waiting for answers, and workers keep their connections.</summary>
    public bool IsPipelined { get; init; }

    public bool IsSticky { get; init; }

    public StrategyPlan Strategy { get; init; } = StrategyPlan.Default;

    public bool Drains { get; init; }

    public bool JumpsAhead { get; init; }

    /// <summary>The chance, each round, that something happens to the workers.</summary>
    public double Unrest { get; init; }

    public int LargestRequestBody { get; init; }

    public int Clients { get; init; }

    public int TcpClients { get; init; }

    internal static WorldMood Draw(RandomSource chance)
    {
        var calm = chance.Chance(0.3);
        var pipelined = chance.Chance(0.3);
        ReadOnlySpan<int> moves = [1, 3, 17, 256, 4096, 70_000, int.MaxValue];
        ReadOnlySpan<int> socketBytes = [1, 100, 2_000, 16_384, 262_144];
        var move = pipelined ? moves[^(1 + chance.Next(4))] : moves[chance.Next(moves.Length)];
        var room = pipelined ? socketBytes[^(1 + chance.Next(3))] : socketBytes[chance.Next(socketBytes.Length)];
        var workerRoom = chance.Chance(0.5) ? room : socketBytes[chance.Next(socketBytes.Length)];
        var pace = Math.Min(move, Math.Min(room, workerRoom));
        var largest = chance.Chance(0.1) ? Math.Min(300_000, pace * 100L) : Math.Min(3_000, pace * 100L);
        return new WorldMood
        {
            IsCalm = calm,
            IsPipelined = pipelined,
            Network = new NetworkMood
            {
                MaxMove = move,
                SocketBytes = room,
                WorkerSocketBytes = workerRoom,
                Delay = chance.Chance(0.3) ? 0 : chance.NextDouble() * 0.6,
                Reset = calm || chance.Chance(0.7) ? 0 : 0.002,
            },
            Workers = new WorkerManners
            {
                Fault = calm ? 0 : chance.NextDouble() * 0.5,
                Closing = pipelined ? 0.03 : 0.33,
                ClosesAbruptly = !calm && chance.Chance(0.5),
                IdleClose = calm || chance.Chance(0.5) ? 0 : 0.02,
                LargestBody = (int)largest,
                DelayMs = chance.Chance(0.5) ? 0 : 60,
            },
            Timeouts = new Timeouts
            {
                HeadMs = 30_000,
                BodyMs = 20_000,
                KeepAliveMs = 2_000,
                ConnectMs = 5_000,
                ResponseMs = 25_000,
                TunnelMs = 60_000,
                QueueMs = 10_000,
                DrainMs = 3_000,
            },
            LargeBuffers = calm || chance.Chance(0.7) ? 256 : 1 + chance.Next(6),
            SmallBuffers = calm || chance.Chance(0.7) ? 256 : 1 + chance.Next(6),
            IsSticky = chance.Chance(0.3),
            Strategy = new StrategyPlan(chance.Chance(0.5) ? "round-robin" : "two-choices"),
            Drains = !calm && chance.Chance(0.2),
            JumpsAhead = !calm && chance.Chance(0.3),
            Unrest = calm || chance.Chance(0.4) ? 0 : 0.01,
            LargestRequestBody = (int)largest,
            Clients = 1 + chance.Next(7),
            TcpClients = chance.Chance(0.5) ? 0 : 1 + chance.Next(3),
        };
    }
}
