namespace FastLB.Core.Resilience;

/// <summary>
/// All that a breaker knows, unpacked from its 64 bits: state 3, count 7, probes 4, openings 4, period 10, time 36. Times are kept modulo
/// 2^36 ms (795 days); a moment counts as passed for half of that, so a breaker that nobody asks for a year may stay open longer than it should.
/// </summary>
/// <param name="Count">While closed failures in a row, while half-open successes.</param>
/// <param name="Probes">Under way.</param>
/// <param name="Openings">In a row, up to 15.</param>
/// <param name="Period">The number of the last transition, modulo 1024.</param>
/// <param name="ChangeAtMs">While open when it may half-open; while half-open when the probes count as lost.</param>
internal readonly record struct BreakerWord(BreakerState State, int Count, int Probes, int Openings, int Period, long ChangeAtMs)
{
    public const int MaxOpenings = 15;
    public const int Periods = 1 << 10;
    public const int TimeBits = 36;
    public const long TimeMask = (1L << TimeBits) - 1;
    private const int StateBits = 3;
    private const int StateMask = (1 << StateBits) - 1;
    private const int CountShift = StateBits;
    private const int CountMask = (1 << 7) - 1;
    private const int ProbesShift = CountShift + 7;
    private const int ProbesMask = (1 << 4) - 1;
    private const int OpeningsShift = ProbesShift + 4;
    private const int PeriodShift = OpeningsShift + 4;
    private const int TimeShift = PeriodShift + 10;

    public static BreakerState StateOf(long word) => (BreakerState)(word & StateMask);

    public static int PeriodOf(long word) => (int)(word >> PeriodShift) & (Periods - 1);

    /// <summary>Closed without a failure on record: the word of a worker that is well, on which a success changes nothing.</summary>
    public static bool IsClosedWithoutFailures(long word) => (word & (StateMask | (CountMask << CountShift))) == 0;

    public static BreakerWord Unpack(long word) => new(
        StateOf(word),
        (int)(word >> CountShift) & CountMask,
        (int)(word >> ProbesShift) & ProbesMask,
        (int)(word >> OpeningsShift) & MaxOpenings,
        PeriodOf(word),
        (word >> TimeShift) & TimeMask);

    public long Pack() => (long)State | ((long)Count << CountShift) | ((long)Probes << ProbesShift) | ((long)Openings << OpeningsShift)
        | ((long)Period << PeriodShift) | (ChangeAtMs << TimeShift);

    /// <summary>Whether <see cref="ChangeAtMs"/> has come.</summary>
    public bool IsDue(long nowMs) => ((nowMs - ChangeAtMs) & TimeMask) < 1L << (TimeBits - 1);

    /// <summary>The next period, in another state and with nothing counted.</summary>
    public BreakerWord Next(BreakerState state) => new(state, 0, 0, 0, (Period + 1) % Periods, 0);
}
