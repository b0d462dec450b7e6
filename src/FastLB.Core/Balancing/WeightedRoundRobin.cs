namespace FastLB.Core.Balancing;

/// <summary>
/// In turn, each as often as its weight says, and as evenly spread in time as that allows (the smooth algorithm of nginx): everybody's turn grows by
/// its weight, who has the greatest is chosen and gives back what all have gained. In a row of as many requests as the weights' sum everybody
/// gets its weight exactly.
/// <para>
/// The turns are the loop's cells at the workers (<see cref="Worker.MoveTurn"/>), so a set that changes, or a retry among some of it, leaves the
/// others' turns as they are. A new worker begins at 0, the mean. Looks at all workers for each request: some ten of them cost nothing, for
/// thousands <see cref="TwoChoices"/> is the better choice.
/// </para>
/// </summary>
public sealed class WeightedRoundRobin : Strategy
{
    /// <summary>
    /// No turn is further from 0 than so many times the sum of the weights. Turns of constant weights never come near it; it is for weights that become small,
    /// after which a turn of old size would make its worker wait, or be chosen, for very long.
    /// </summary>
    private const int FurthestTurn = 8;

    /// <summary>The most steps that a loop's first request skips.</summary>
    private const int MostSkipped = 256;

    private long _total;

    public override int Pick(in Choice choice)
    {
        if (_total == 0)
        {
            SkipSome(choice);
        }

        return Step(choice);
    }

    private int Step(in Choice choice)
    {
        var workers = choice.Workers;
        var bound = _total == 0 ? long.MaxValue : FurthestTurn * _total;
        var total = 0L;
        var best = 0;
        var bestTurn = long.MinValue;
        for (var i = 0; i < workers.Length; i++)
        {
            var weight = workers[i].Weight;
            total += weight;
            var turn = workers[i].MoveTurn(choice.Loop, weight, bound);
            if (turn > bestTurn)
            {
                (best, bestTurn) = (i, turn);
            }
        }

        workers[best].MoveTurn(choice.Loop, -total, long.MaxValue);
        _total = total;
        return best;
    }

    /// <summary>Begins somewhere, so that the loops do not march in step.</summary>
    private void SkipSome(in Choice choice)
    {
        Step(choice);
        for (var skipped = choice.Random.Next((int)Math.Min(_total, MostSkipped)); skipped > 0; skipped--)
        {
            Step(choice);
        }
    }
}
