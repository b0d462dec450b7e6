using System.Numerics;

namespace FastLB.Core.Loop;

/// <summary>
/// A hierarchical timing wheel (Varghese and Lauck, 1987) with a resolution of one millisecond: five levels of 64 slots,
/// a bitmap of used slots per level, intrusive lists, no allocation. Deadlines beyond its span of about 12 days
/// are kept in the last slot and looked at again when it comes up.
/// <para>
/// Arming later than before only writes the deadline; the node stays where it is and moves on when its old slot comes up.
/// That makes the usual case, a deadline pushed back once per request, a single store.
/// </para>
/// One loop owns it; nothing here is safe from other threads.
/// </summary>
public sealed class TimerWheel : OwnCacheLines
{
    private const int Levels = 5;
    private const int SlotBits = 6;
    private const int SlotsPerLevel = 1 << SlotBits;

    private readonly LoopTimer?[] _slots = new LoopTimer?[Levels * SlotsPerLevel];
    private readonly ulong[] _used = new ulong[Levels];
    private long _nowMs;

    public TimerWheel(long nowMs) => _nowMs = nowMs;

    /// <summary>How many timers are armed.</summary>
    public int Count { get; private set; }

    /// <summary>Arms or re-arms <paramref name="timer"/> for <paramref name="deadlineMs"/> (loop milliseconds).</summary>
    public void Arm(LoopTimer timer, long deadlineMs)
    {
        Invariant.That(deadlineMs >= 0, "a deadline is not negative");
        timer.DeadlineMs = deadlineMs;
        if (timer.WheelSlot >= 0)
        {
            if (deadlineMs >= timer.LinkedMs)
            {
                return;
            }

            Unlink(timer);
        }

        Link(timer);
    }

    /// <summary>Disarms <paramref name="timer"/>; after this no call comes. A timer that is not armed is left alone.</summary>
    public void Cancel(LoopTimer timer)
    {
        timer.DeadlineMs = -1;
        if (timer.WheelSlot >= 0)
        {
            Unlink(timer);
        }
    }

    /// <summary>
    /// Milliseconds until the wheel wants to be advanced again: 0 when something is due, -1 when no timer is linked. Never
    /// later than the nearest deadline, sometimes earlier (a slot of a higher level has to be spread out).
    /// </summary>
    public int MillisecondsToNext(long nowMs)
    {
        if (Count == 0)
        {
            return -1;
        }

        var next = NextSlotTime();
        return (int)Math.Clamp(next - nowMs, 0, int.MaxValue);
    }

    /// <summary>Calls every timer that is due at <paramref name="nowMs"/>. Time never goes back; a jump forward is one call.</summary>
    public void Advance(long nowMs)
    {
        while (Count > 0)
        {
            var due = NextSlotTime();
            if (due > nowMs)
            {
                break;
            }

            _nowMs = Math.Max(_nowMs, due);
            ExpireCurrentSlots();
        }

        _nowMs = Math.Max(_nowMs, nowMs);
    }

    private void ExpireCurrentSlots()
    {
        // Higher levels first: what they hold for this moment moves down to level 0 and is called below.
        for (var level = Levels - 1; level >= 0; level--)
        {
            if (level > 0 && (_nowMs & ((1L << (level * SlotBits)) - 1)) != 0)
            {
                continue;
            }

            var slot = (level * SlotsPerLevel) + (int)((_nowMs >> (level * SlotBits)) & (SlotsPerLevel - 1));
            var bit = 1UL << (slot & (SlotsPerLevel - 1));
            if ((_used[level] & bit) == 0)
            {
                continue;
            }

            // A callback may arm for this same moment; such a node goes to the next tick (Link), so this list only shrinks.
            while (_slots[slot] is { } timer)
            {
                Unlink(timer);
                if (timer.DeadlineMs > _nowMs)
                {
                    Link(timer);
                }
                else
                {
                    timer.DeadlineMs = -1;
                    timer.OnTimer();
                }
            }
        }
    }

    /// <summary>The earliest time at which a used slot comes up, over all levels.</summary>
    private long NextSlotTime()
    {
        var best = long.MaxValue;
        for (var level = 0; level < Levels; level++)
        {
            if (_used[level] == 0)
            {
                continue;
            }

            var shift = level * SlotBits;
            var position = _nowMs >> shift;
            var index = (int)(position & (SlotsPerLevel - 1));

            // Rotated so that bit 0 is the slot after the current one; the current slot itself is a whole round away.
            var ahead = BitOperations.RotateRight(_used[level], (index + 1) & (SlotsPerLevel - 1));
            var distance = BitOperations.TrailingZeroCount(ahead) + 1;
            best = Math.Min(best, (position + distance) << shift);
        }

        return best;
    }

    private void Link(LoopTimer timer)
    {
        var deadline = Math.Max(timer.DeadlineMs, _nowMs + 1);
        var level = 0;
        long distance;
        while (true)
        {
            distance = (deadline >> (level * SlotBits)) - (_nowMs >> (level * SlotBits));
            if (distance < SlotsPerLevel || level == Levels - 1)
            {
                break;
            }

            level++;
        }

        if (distance >= SlotsPerLevel)
        {
            deadline = ((_nowMs >> (level * SlotBits)) + SlotsPerLevel - 1) << (level * SlotBits);
        }

        var slot = (level * SlotsPerLevel) + (int)((deadline >> (level * SlotBits)) & (SlotsPerLevel - 1));
        timer.WheelSlot = slot;
        timer.LinkedMs = deadline;
        timer.PreviousTimer = null;
        timer.NextTimer = _slots[slot];
        if (timer.NextTimer is { } next)
        {
            next.PreviousTimer = timer;
        }

        _slots[slot] = timer;
        _used[level] |= 1UL << (slot & (SlotsPerLevel - 1));
        Count++;
    }

    private void Unlink(LoopTimer timer)
    {
        var slot = timer.WheelSlot;
        if (timer.PreviousTimer is { } previous)
        {
            previous.NextTimer = timer.NextTimer;
        }
        else
        {
            _slots[slot] = timer.NextTimer;
            if (timer.NextTimer is null)
            {
                _used[slot >> SlotBits] &= ~(1UL << (slot & (SlotsPerLevel - 1)));
            }
        }

        if (timer.NextTimer is { } next)
        {
            next.PreviousTimer = timer.PreviousTimer;
        }

        timer.NextTimer = null;
        timer.PreviousTimer = null;
        timer.WheelSlot = -1;
        Count--;
    }
}
