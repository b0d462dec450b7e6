using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>
/// Two different workers at random, and of these the one with fewer requests in flight (Mitzenmacher, "The Power of Two
/// Choices in Randomized Load Balancing", 2001). Nearly as even as asking all of them, without the herding that
/// comes when many loops see the same least loaded one.
/// </summary>
public sealed class TwoChoices : Strategy
{
    public override int Pick(ReadOnlySpan<Worker> workers, RandomSource random, int loop, long nowMs)
    {
        if (workers.Length == 1)
        {
            return 0;
        }

        var first = random.Next(workers.Length);
        var second = random.Next(workers.Length - 1);
        if (second >= first)
        {
            second++;
        }

        // The order of the two is random already, so a tie needs no third draw.
        return workers[second].InFlightSeenBy(loop, nowMs) < workers[first].InFlightSeenBy(loop, nowMs) ? second : first;
    }
}
