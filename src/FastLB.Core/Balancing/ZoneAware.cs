namespace FastLB.Core.Balancing;

/// <summary>
/// A worker of the client's zone, by <see cref="TwoChoices"/> among these; any worker, by the same, when the zone has none or is full.
/// <para>
/// Whether it is full is told by samples: the worker that the zone would choose is compared with the one that all would, and has to have more than
/// twice the requests per weight, and some more. So each request decides for itself and there is no state that could swing: the fuller a zone, the
/// larger the share of its requests that leave, and no more of them than bring it back. The "some more" keeps the traffic of a quiet zone at home, where
/// twice as much as nothing is one request.
/// </para>
/// </summary>
public sealed class ZoneAware : Strategy
{
    /// <summary>How many times the others' load a zone carries before requests leave it.</summary>
    public const int FullAtTimes = 2;

    /// <summary>And how many requests per weight more than that.</summary>
    public const int FullAtMore = 4;

    // The workers in the order of their zones, found anew when the choice is among others and each millisecond. One zone's begin at _starts[zone + 1].
    private Worker[] _byZone = [];
    private int[] _places = [];
    private int[] _starts = [];
    private int _zones;
    private int _count;
    private Worker? _first;
    private long _sortedMs = long.MinValue;
    private WeightedDraw _draw;
    private WeightedDraw _drawInZone;

    public override int Pick(in Choice choice)
    {
        var all = TwoChoices.PickAmong(choice.Workers, choice, ref _draw);
        if (choice.Zone < 0)
        {
            return all;
        }

        if (_sortedMs != choice.NowMs || _count != choice.Workers.Length || !ReferenceEquals(_first, choice.Workers[0]))
        {
            Sort(choice);
        }

        if (choice.Zone >= _zones || _starts[choice.Zone + 1] == _starts[choice.Zone + 2])
        {
            return all;
        }

        var start = _starts[choice.Zone + 1];
        var local = start + TwoChoices.PickAmong(_byZone.AsSpan(start, _starts[choice.Zone + 2] - start), choice, ref _drawInZone);

        // A list that was filled anew within the millisecond has others in these places, which serve as well.
        return IsFull(_byZone[local], choice.Workers[all], choice) ? all : _places[local];
    }

    private static bool IsFull(Worker local, Worker any, in Choice choice)
    {
        var load = local.InFlightSeenBy(choice.Loop, choice.NowMs) * any.Weight;
        var anyLoad = any.InFlightSeenBy(choice.Loop, choice.NowMs) * local.Weight;
        return load > (FullAtTimes * anyLoad) + (FullAtMore * (long)local.Weight * any.Weight);
    }

    /// <summary>Sorts by counting. Allocates only when there are more workers or zones than ever before.</summary>
    private void Sort(in Choice choice)
    {
        var workers = choice.Workers;
        (_sortedMs, _count, _first, _zones) = (choice.NowMs, workers.Length, workers[0], 0);
        foreach (var worker in workers)
        {
            _zones = Math.Max(_zones, worker.Zone + 1);
        }

        if (_byZone.Length < workers.Length)
        {
            _byZone = new Worker[workers.Length];
            _places = new int[workers.Length];
        }

        if (_starts.Length < _zones + 2)
        {
            _starts = new int[_zones + 2];
        }

        // First how many are in each zone, then where each zone ends, and while workers are put in from behind, where it begins.
        Array.Clear(_starts);
        foreach (var worker in workers)
        {
            _starts[worker.Zone + 1]++;
        }

        for (var zone = 1; zone < _zones + 2; zone++)
        {
            _starts[zone] += _starts[zone - 1];
        }

        for (var place = workers.Length - 1; place >= 0; place--)
        {
            var at = --_starts[workers[place].Zone + 1];
            (_byZone[at], _places[at]) = (workers[place], place);
        }
    }
}
