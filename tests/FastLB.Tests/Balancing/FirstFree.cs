using FastLB.Core.Balancing;

namespace FastLB.Examples;

/// <summary>
/// The first worker that has room, in the order of their slots: a few workers are busy and the others stay idle, so that their machines may
/// sleep. When all are full, the one with the least.
/// </summary>
public sealed class FirstFree(int mostInFlight) : Strategy
{
    public override int Pick(in Choice choice)
    {
        var best = 0;
        var leastInFlight = long.MaxValue;
        for (var i = 0; i < choice.Workers.Length; i++)
        {
            var inFlight = choice.Workers[i].InFlightSeenBy(choice.Loop, choice.NowMs);
            if (inFlight < mostInFlight)
            {
                return i;
            }

            if (inFlight < leastInFlight)
            {
                (best, leastInFlight) = (i, inFlight);
            }
        }

        return best;
    }
}
