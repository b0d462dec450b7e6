namespace FastLB.Core.Balancing;

/// <summary>Any worker, by weight. Knows nothing of load, so it is what others are measured against.</summary>
public sealed class RandomChoice : Strategy
{
    private WeightedDraw _draw;

    public override int Pick(in Choice choice) => _draw.Next(choice.Workers, choice);
}
