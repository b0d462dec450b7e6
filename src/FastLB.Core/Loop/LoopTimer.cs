namespace FastLB.Core.Loop;

/// <summary>
/// One deadline, linked into its loop's <see cref="TimerWheel"/> while armed. Whoever derives from it is told by
/// <see cref="OnTimer"/>, on the loop's thread, once per arming.
/// </summary>
public abstract class LoopTimer
{
    internal LoopTimer? NextTimer;
    internal LoopTimer? PreviousTimer;

    /// <summary>The armed deadline in loop milliseconds, or -1 when the timer is not armed.</summary>
    internal long DeadlineMs = -1;

    /// <summary>The deadline by which the node was linked; never later than <see cref="DeadlineMs"/> while linked.</summary>
    internal long LinkedMs;

    /// <summary>The wheel slot (level * 64 + index) that holds this node, or -1 when it is not linked.</summary>
    internal int WheelSlot = -1;

    /// <summary>True while a call of <see cref="OnTimer"/> is to be expected.</summary>
    public bool IsTimerArmed => DeadlineMs >= 0;

    /// <summary>The deadline was reached. The timer is no longer armed.</summary>
    public abstract void OnTimer();
}
