namespace FastLB.Core.Balancing;

/// <summary>
/// Two different workers at random, and of these the one with fewer requests in flight (Mitzenmacher, "The Power of Two
/// Choices in Randomized Load Balancing", 2001). Nearly as even as asking all of them, without the herding that
/// comes when many loops see the same least loaded one. Workers are drawn, and their load is measured, by weight.
/// </summary>
public sealed class TwoChoices : Strategy
{
    private WeightedDraw _draw;

    public override int Pick(in Choice choice) => PickAmong(choice.Workers, choice, ref _draw);

    /// <summary>The same among other workers than the choice's.</summary>
    internal static int PickAmong(ReadOnlySpan<Worker> workers, in Choice choice, ref WeightedDraw draw)
    {
        if (workers.Length == 1)
        {
            return 0;
        }

        var first = draw.Next(workers, choice);
        var second = draw.NextBut(first, workers, choice);
        return IsLessLoaded(workers[second], workers[first], choice) ? second : first;
    }

    /// <summary>
    /// Whether <paramref name="worker"/> would have the lesser load per weight with the request. Of two idle ones neither: they were drawn by
    /// weight, and the heavier would otherwise get all of a traffic that leaves both idle.
    /// </summary>
    private static bool IsLessLoaded(Worker worker, Worker than, in Choice choice)
    {
        var load = worker.InFlightSeenBy(choice.Loop, choice.NowMs);
        var otherLoad = than.InFlightSeenBy(choice.Loop, choice.NowMs);
        return (load | otherLoad) != 0 && (load + 1) * than.Weight < (otherLoad + 1) * worker.Weight;
    }
}
