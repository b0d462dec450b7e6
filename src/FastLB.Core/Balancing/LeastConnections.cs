namespace FastLB.Core.Balancing;

/// <summary>
/// The worker with the least in flight per weight of all, equal ones by chance and weight. Exact, and therefore for few workers and long
/// requests; looks at every worker for each request, and loops that see the same least loaded one may choose it together within a millisecond.
/// </summary>
public sealed class LeastConnections : Strategy
{
    public override int Pick(in Choice choice)
    {
        var workers = choice.Workers;
        var best = 0;
        var bestLoad = workers[0].InFlightSeenBy(choice.Loop, choice.NowMs);
        long bestWeight = workers[0].Weight;
        var weightOfEquals = bestWeight;
        for (var i = 1; i < workers.Length; i++)
        {
            var load = workers[i].InFlightSeenBy(choice.Loop, choice.NowMs);
            long weight = workers[i].Weight;
            var (scaled, bestScaled) = (load * bestWeight, bestLoad * weight);
            if (scaled > bestScaled)
            {
                continue;
            }

            // Of those that are equal so far each stays with a chance of its weight: a reservoir of one (Chao, 1982).
            weightOfEquals = scaled < bestScaled ? weight : weightOfEquals + weight;
            if (weightOfEquals == weight || (long)Math.BigMul(choice.Random.NextUInt64(), (ulong)weightOfEquals, out _) < weight)
            {
                (best, bestLoad, bestWeight) = (i, load, weight);
            }
        }

        return best;
    }
}
