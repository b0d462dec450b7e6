using FastLB.Core.Balancing;
using FastLB.Core.Loop;

namespace FastLB.Tests.Balancing;

/// <summary>What a strategy knows of its loop: a number, chance and time.</summary>
internal sealed class OneLoop(ulong seed = 1, int number = 0)
{
    public RandomSource Random { get; } = new(seed);

    public long NowMs { get; set; } = 1_000;

    public static Worker[] Workers(params int[] weights) => [.. weights.Select((weight, slot) => Worker(slot, weight))];

    public static Worker Worker(int slot, int weight = 1, int zone = -1, int generation = 1, int loops = 1) =>
        new("app", slot, generation, Endpoint.Unix($"/run/{slot}-{generation}.sock"), loops, weight) { Zone = zone };

    public int PickIndex(Strategy strategy, ReadOnlySpan<Worker> workers, ulong key = 0, int zone = -1, MaglevTable? table = null)
    {
        var inFlight = 0L;
        foreach (var worker in table is null ? workers : table.Workers)
        {
            inFlight += worker.InFlight;
        }

        return strategy.Pick(new Choice
        {
            Workers = workers,
            Random = Random,
            Loop = number,
            NowMs = NowMs,
            Key = key,
            Zone = zone,
            Table = table,
            PoolInFlight = inFlight,
        });
    }

    public Worker Pick(Strategy strategy, ReadOnlySpan<Worker> workers, ulong key = 0, int zone = -1, MaglevTable? table = null) =>
        workers[PickIndex(strategy, workers, key, zone, table)];

    /// <summary>How often each is picked when every request ends before the next.</summary>
    public int[] CountIdle(Strategy strategy, Worker[] workers, int requests)
    {
        var counts = new int[workers.Length];
        for (var i = 0; i < requests; i++)
        {
            counts[PickIndex(strategy, workers)]++;
        }

        return counts;
    }

    /// <summary>Sends requests that do not end.</summary>
    public void Hold(Strategy strategy, Worker[] workers, int requests)
    {
        for (var i = 0; i < requests; i++)
        {
            Pick(strategy, workers).Begin(number);
        }
    }
}
