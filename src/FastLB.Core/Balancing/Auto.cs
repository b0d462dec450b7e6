using System.Globalization;

namespace FastLB.Core.Balancing;

/// <summary>
/// Chooses the strategy by what it sees about once a second: how far apart the workers' answers are, their weights, and how much is in flight.
/// It changes when three looks in a row say the same, and what began a strategy has to be clearly gone before it ends. Each loop
/// decides for itself from what all loops have measured, so they agree but for a second or so.
/// </summary>
public sealed class Auto : Strategy
{
    public const int LookEveryMs = 1_000;

    /// <summary>How many looks have to agree.</summary>
    public const int LooksToChange = 3;

    /// <summary>So many answers make a mean.</summary>
    private const int AnswersToJudge = 10;

    // Each of these begins a strategy; the second ends it.
    private const double ApartTimes = 2.5;
    private const double AlikeTimes = 1.5;
    private const double ApartNanoseconds = 1e6;
    private const double AlikeNanoseconds = 0.5e6;
    private const double UnequalWeights = 2;
    private const double EqualWeights = 1.5;
    private const double FewInFlight = 1;
    private const double NotFewInFlight = 2;
    private const double ManyInFlight = 8;
    private const double NotManyInFlight = 4;

    /// <summary>Up to so many workers all of them are asked.</summary>
    private const int FewWorkers = 32;

    private readonly Strategy _twoChoices = new TwoChoices();
    private readonly Strategy _leastConnections = new LeastConnections();
    private readonly Strategy _responseTime = new ResponseTime();
    private readonly Strategy _weightedRoundRobin = new WeightedRoundRobin();
    private Strategy _current;
    private Strategy _wanted;
    private int _looksThatWantedIt;
    private long _nextLookMs = long.MinValue;
    private Judged[] _judged = [];
    private Judged[] _judgedBefore = [];
    private int _judgedCount;
    private string _reason = "two-choices: nothing is known of the workers yet";

    public Auto() => _current = _wanted = _twoChoices;

    /// <summary>Made when the strategy changes and at no other time, so that it says what was seen then.</summary>
    public override string? Reason => Volatile.Read(ref _reason);

    public override int Pick(in Choice choice)
    {
        if (choice.NowMs >= _nextLookMs)
        {
            _nextLookMs = choice.NowMs + LookEveryMs;
            Look(choice);
        }

        return _current.Pick(choice);
    }

    private void Look(in Choice choice)
    {
        var sight = See(choice);
        var wanted = WantedBy(sight);
        _looksThatWantedIt = ReferenceEquals(wanted, _wanted) ? _looksThatWantedIt + 1 : 1;
        _wanted = wanted;
        if (!ReferenceEquals(wanted, _current) && _looksThatWantedIt >= LooksToChange)
        {
            _current = wanted;
            Volatile.Write(ref _reason, ReasonOf(sight));
        }
    }

    private Strategy WantedBy(in Sight sight)
    {
        var wasApart = ReferenceEquals(_current, _responseTime);
        if (sight.SlowestNanoseconds >= sight.FastestNanoseconds * (wasApart ? AlikeTimes : ApartTimes)
            && sight.SlowestNanoseconds - sight.FastestNanoseconds >= (wasApart ? AlikeNanoseconds : ApartNanoseconds))
        {
            return _responseTime;
        }

        var wasUnequal = ReferenceEquals(_current, _weightedRoundRobin);
        if (sight.GreatestWeight >= sight.LeastWeight * (wasUnequal ? EqualWeights : UnequalWeights)
            && sight.InFlightPerWorker < (wasUnequal ? NotFewInFlight : FewInFlight))
        {
            return _weightedRoundRobin;
        }

        var wasMany = ReferenceEquals(_current, _leastConnections);
        return sight.Workers <= FewWorkers && sight.InFlightPerWorker >= (wasMany ? NotManyInFlight : ManyInFlight) ? _leastConnections : _twoChoices;
    }

    private string ReasonOf(in Sight sight)
    {
        if (ReferenceEquals(_current, _responseTime))
        {
            return $"response-time: the slowest worker answers in {Milliseconds(sight.SlowestNanoseconds)}, the fastest in {Milliseconds(sight.FastestNanoseconds)}";
        }

        var inFlight = sight.InFlightPerWorker.ToString("0.#", CultureInfo.InvariantCulture);
        if (ReferenceEquals(_current, _weightedRoundRobin))
        {
            return $"weighted-round-robin: weights reach from {sight.LeastWeight} to {sight.GreatestWeight}, and {inFlight} requests per worker in flight are too few to go by";
        }

        return ReferenceEquals(_current, _leastConnections)
            ? $"least-connections: each of {sight.Workers} workers has {inFlight} requests in flight"
            : $"two-choices: the workers answer alike, with {inFlight} requests per worker in flight";
    }

    private static string Milliseconds(double nanoseconds) =>
        (nanoseconds / 1e6).ToString(nanoseconds < 10e6 ? "0.##" : "0", CultureInfo.InvariantCulture) + " ms";

    /// <summary>Brings the mean answer times up to date. Allocates only when there are more workers than ever before.</summary>
    private Sight See(in Choice choice)
    {
        var workers = choice.Workers;
        (_judged, _judgedBefore) = (_judgedBefore, _judged);
        var before = _judgedBefore.AsSpan(0, _judgedCount);
        if (_judged.Length < workers.Length)
        {
            _judged = new Judged[workers.Length];
        }

        double fastest = double.PositiveInfinity, slowest = 0;
        int leastWeight = int.MaxValue, greatestWeight = 0;
        for (var i = 0; i < workers.Length; i++)
        {
            var judged = _judged[i] = Judged.Next(workers[i], before, i);
            if (judged.MeanNanoseconds > 0)
            {
                fastest = Math.Min(fastest, judged.MeanNanoseconds);
                slowest = Math.Max(slowest, judged.MeanNanoseconds);
            }

            leastWeight = Math.Min(leastWeight, workers[i].Weight);
            greatestWeight = Math.Max(greatestWeight, workers[i].Weight);
        }

        _judgedCount = workers.Length;
        return new Sight(workers.Length, fastest, slowest, leastWeight, greatestWeight, (double)choice.PoolInFlight / workers.Length);
    }

    private readonly record struct Sight(
        int Workers, double FastestNanoseconds, double SlowestNanoseconds, int LeastWeight, int GreatestWeight, double InFlightPerWorker);

    /// <summary>What a worker's answers took: the mean of its last answers, and the counts at which that mean was made.</summary>
    private readonly record struct Judged(Worker Worker, long Answers, long Nanoseconds, double MeanNanoseconds)
    {
        /// <summary>A new mean when there are enough new answers, otherwise the one before; a worker that gets no requests keeps its mean.</summary>
        public static Judged Next(Worker worker, ReadOnlySpan<Judged> before, int expectedAt)
        {
            var (answers, nanoseconds) = (worker.Answers, worker.AnswerNanoseconds);
            if (Find(worker, before, expectedAt) is not { } last)
            {
                return new Judged(worker, answers, nanoseconds, 0);
            }

            var fresh = answers - last.Answers;
            return fresh < AnswersToJudge ? last : new Judged(worker, answers, nanoseconds, Math.Max(1, (double)(nanoseconds - last.Nanoseconds) / fresh));
        }

        private static Judged? Find(Worker worker, ReadOnlySpan<Judged> before, int expectedAt)
        {
            if (expectedAt < before.Length && ReferenceEquals(before[expectedAt].Worker, worker))
            {
                return before[expectedAt];
            }

            foreach (var judged in before)
            {
                if (ReferenceEquals(judged.Worker, worker))
                {
                    return judged;
                }
            }

            return null;
        }
    }
}
