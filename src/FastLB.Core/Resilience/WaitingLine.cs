using System.Numerics;
using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>What can wait in a <see cref="WaitingLine{T}"/>: it carries the line's links itself, so that waiting allocates nothing. Only the line writes them.</summary>
public interface IWaiting<T>
    where T : class
{
    /// <summary>0, the most urgent, to 7, as the urgency of RFC 9218 4.1, whose default is 3. Does not change while it waits.</summary>
    int Urgency { get; }

    /// <summary>Whether it stands in a line.</summary>
    bool IsWaiting { get; set; }

    T? WaitingBefore { get; set; }

    T? WaitingBehind { get; set; }
}

/// <summary>
/// Requests that wait for a place at a worker: the most urgent first, first in, first out among equals, bounded in all. A full line takes a
/// newcomer only instead of a less urgent one, the newest of the least urgent, which is then answered at once; so under an overload the urgent are served and
/// the others told early. The less urgent may starve: their own timer ends that. All operations take constant time. One loop owns it.
/// </summary>
public sealed class WaitingLine<T> : OwnCacheLines
    where T : class, IWaiting<T>
{
    /// <summary>How many urgencies there are.</summary>
    public const int Urgencies = 8;

    private readonly T?[] _first = new T?[Urgencies];
    private readonly T?[] _last = new T?[Urgencies];

    /// <summary>A bit for each urgency at which somebody waits.</summary>
    private uint _occupied;

    /// <param name="capacity">The most that wait at once, 0 and above.</param>
    public WaitingLine(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(capacity);
        Capacity = capacity;
    }

    public int Capacity { get; }

    public int Length { get; private set; }

    /// <summary>
    /// Adds it at the end of its urgency. False: the line is full of others as urgent as it or more. True with <paramref name="displaced"/>: that one had to go and is
    /// no longer in the line; the caller answers it.
    /// </summary>
    public bool TryEnter(T item, out T? displaced)
    {
        var urgency = item.Urgency;
        Invariant.That(!item.IsWaiting, "a request waits in one line");
        Invariant.That((uint)urgency < Urgencies, "there are eight urgencies");
        displaced = null;
        if (Length >= Capacity)
        {
            var least = BitOperations.Log2(_occupied);
            if (_occupied == 0 || least <= urgency)
            {
                return false;
            }

            displaced = _last[least]!;
            Remove(displaced);
        }

        var last = _last[urgency];
        item.IsWaiting = true;
        item.WaitingBefore = last;
        item.WaitingBehind = null;
        if (last is not null)
        {
            last.WaitingBehind = item;
        }
        else
        {
            _first[urgency] = item;
            _occupied |= 1u << urgency;
        }

        _last[urgency] = item;
        Length++;
        return true;
    }

    /// <summary>Takes out whoever is next; null when nobody waits.</summary>
    public T? TryLeave()
    {
        if (_occupied == 0)
        {
            return null;
        }

        var next = _first[BitOperations.TrailingZeroCount(_occupied)]!;
        Remove(next);
        return next;
    }

    /// <summary>Takes out one whose client left or whose time is over.</summary>
    public void Remove(T item)
    {
        var urgency = item.Urgency;
        Invariant.That(item.IsWaiting && Length > 0, "only one that waits is taken out");
        var (before, behind) = (item.WaitingBefore, item.WaitingBehind);
        Invariant.That(before is not null || ReferenceEquals(_first[urgency], item), "it waits in this line, and its urgency is the one that it came with");
        Invariant.That(behind is not null || ReferenceEquals(_last[urgency], item), "it waits in this line, and its urgency is the one that it came with");
        if (before is not null)
        {
            before.WaitingBehind = behind;
        }
        else
        {
            _first[urgency] = behind;
        }

        if (behind is not null)
        {
            behind.WaitingBefore = before;
        }
        else
        {
            _last[urgency] = before;
        }

        if (_first[urgency] is null)
        {
            _occupied &= ~(1u << urgency);
        }

        item.IsWaiting = false;
        item.WaitingBefore = null;
        item.WaitingBehind = null;
        Length--;
    }
}
