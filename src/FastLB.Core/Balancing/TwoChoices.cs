namespace FastLB.Core.Balancing;

/// <summary>
/// Two different workers at random, and of these the one with fewer requests in flight (Mitzenmacher, "The Power of Two
/// Choices in Randomized Load Balancing", 2001). Nearly as even as asking all of them, without the herding that
/// comes when many loops see the same least loaded one.
/// </summary>
public sealed class TwoChoices : Strategy
{
    public override int Pick(in Choice choice)
    {
        var workers = choice.Workers;
        if (workers.Length == 1)
        {
            return 0;
        }

        var first = choice.Random.Next(workers.Length);
        var second = choice.Random.Next(workers.Length - 1);
        if (second >= first)
        {
            second++;
        }

        // The order of the two is random already, so a tie needs no third draw.
        return workers[second].InFlightSeenBy(choice.Loop, choice.NowMs) < workers[first].InFlightSeenBy(choice.Loop, choice.NowMs) ? second : first;
    }
}
