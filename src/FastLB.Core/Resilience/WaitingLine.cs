using System.Numerics;
using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>What can wait in a <see cref="WaitingLine{T}"/>: it carries the line's links itself, so that waiting allocates nothing. Only the line writes them.</summary>
public interface IWaiting<T>
    where T : class
{
    /// <summary>0 to 7; the greatest is served first. Does not change while it waits.</summary>
    int Priority { get; }

    /// <summary>Whether it stands in a line.</summary>
    bool IsWaiting { get; set; }

    T? WaitingBefore { get; set; }

    T? WaitingBehind { get; set; }
}

/// <summary>
/// Requests that wait for a place at a worker: the highest priority first, first in, first out within one, bounded in all. A full line takes a newcomer
/// only instead of one with a lower priority, the newest of the lowest, which is then answered at once; so under an overload the important are served and
/// the others told early. Low priorities may starve: their own timer ends that. All operations take constant time. One loop owns it.
/// </summary>
public sealed class WaitingLine<T> : OwnCacheLines
    where T : class, IWaiting<T>
{
    /// <summary>How many priorities there are.</summary>
    public const int Priorities = 8;

    private readonly T?[] _first = new T?[Priorities];
    private readonly T?[] _last = new T?[Priorities];

    /// <summary>A bit for each priority at which somebody waits.</summary>
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
    /// Adds it at the end of its priority. False: the line is full of others with its priority or a higher one. True with <paramref name="displaced"/>: that one had to go and is
    /// no longer in the line; the caller answers it.
    /// </summary>
    public bool TryEnter(T item, out T? displaced)
    {
        var priority = item.Priority;
        Invariant.That(!item.IsWaiting, "a request waits in one line");
        Invariant.That((uint)priority < Priorities, "there are eight priorities");
        displaced = null;
        if (Length >= Capacity)
        {
            // 32 when nobody waits.
            var lowest = BitOperations.TrailingZeroCount(_occupied);
            if (lowest >= priority)
            {
                return false;
            }

            displaced = _last[lowest]!;
            Remove(displaced);
        }

        var last = _last[priority];
        item.IsWaiting = true;
        item.WaitingBefore = last;
        item.WaitingBehind = null;
        if (last is not null)
        {
            last.WaitingBehind = item;
        }
        else
        {
            _first[priority] = item;
            _occupied |= 1u << priority;
        }

        _last[priority] = item;
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

        var next = _first[BitOperations.Log2(_occupied)]!;
        Remove(next);
        return next;
    }

    /// <summary>Takes out one whose client left or whose time is over.</summary>
    public void Remove(T item)
    {
        var priority = item.Priority;
        Invariant.That(item.IsWaiting && Length > 0, "only one that waits is taken out");
        var (before, behind) = (item.WaitingBefore, item.WaitingBehind);
        Invariant.That(before is not null || ReferenceEquals(_first[priority], item), "it waits in this line, and its priority is the one that it came with");
        Invariant.That(behind is not null || ReferenceEquals(_last[priority], item), "it waits in this line, and its priority is the one that it came with");
        if (before is not null)
        {
            before.WaitingBehind = behind;
        }
        else
        {
            _first[priority] = behind;
        }

        if (behind is not null)
        {
            behind.WaitingBefore = before;
        }
        else
        {
            _last[priority] = before;
        }

        if (_first[priority] is null)
        {
            _occupied &= ~(1u << priority);
        }

        item.IsWaiting = false;
        item.WaitingBefore = null;
        item.WaitingBehind = null;
        Length--;
    }
}
