namespace FastLB.Core.Balancing;

/// <summary>
/// Two different workers at random by weight, and of these the one with the lesser product of response time and requests in flight, per weight
/// (Finagle's balancer "Power of Two Choices: Peak EWMA"). A worker that fails fast counts as slow, see <see cref="PeakEwma.AfterFailure"/>.
/// <para>
/// Where a response time is not known, the requests in flight decide alone and the unknown worker wins a tie: so it is measured soon, but
/// a crowd that comes before its first answer is spread as by <see cref="TwoChoices"/>.
/// </para>
/// </summary>
public sealed class ResponseTime : Strategy
{
    private WeightedDraw _draw;

    public override int Pick(in Choice choice)
    {
        var workers = choice.Workers;
        if (workers.Length == 1)
        {
            return 0;
        }

        var first = _draw.Next(workers, choice);
        var second = _draw.NextBut(first, workers, choice);
        return IsBetter(workers[second], workers[first], choice) ? second : first;
    }

    private static bool IsBetter(Worker worker, Worker than, in Choice choice)
    {
        var inFlight = worker.InFlightSeenBy(choice.Loop, choice.NowMs);
        var otherInFlight = than.InFlightSeenBy(choice.Loop, choice.NowMs);
        double load = 1, otherLoad = 1;

        // Two idle ones were drawn by weight, which is enough of it: the heavier is not to get everything.
        if ((inFlight | otherInFlight) != 0)
        {
            load = (inFlight + 1) * (double)than.Weight;
            otherLoad = (otherInFlight + 1) * (double)worker.Weight;
        }

        var response = worker.ResponseSeenBy(choice.Loop, choice.NowMs);
        var otherResponse = than.ResponseSeenBy(choice.Loop, choice.NowMs);
        if (response == 0 || otherResponse == 0)
        {
            return load < otherLoad || (load == otherLoad && response < otherResponse);
        }

        return load * response < otherLoad * otherResponse;
    }
}
