namespace FastLB.Core.Balancing;

/// <summary>
/// One after the other. Every loop goes round on its own, from a random start, so the loops do not march in step. Fair to
/// within one request per loop while the workers stay the same.
/// </summary>
public sealed class RoundRobin : Strategy
{
    private uint _next;
    private bool _started;

    public override int Pick(in Choice choice)
    {
        if (!_started)
        {
            _started = true;
            _next = (uint)choice.Random.NextUInt64();
        }

        return (int)(_next++ % (uint)choice.Workers.Length);
    }
}
