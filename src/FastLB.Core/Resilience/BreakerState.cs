namespace FastLB.Core.Resilience;

/// <summary>What a <see cref="CircuitBreaker"/> lets through.</summary>
public enum BreakerState
{
    /// <summary>Everything: the worker is well.</summary>
    Closed,

    /// <summary>Nothing, until its time is over.</summary>
    Open,

    /// <summary>A few probes, which decide.</summary>
    HalfOpen,

    /// <summary>Nothing, because an operator says so.</summary>
    ForcedOpen,

    /// <summary>Everything, whatever comes of it, because an operator says so.</summary>
    ForcedClosed,
}

/// <summary>What an operator wants of a breaker.</summary>
public enum BreakerForce
{
    /// <summary>It judges by itself, beginning closed.</summary>
    None,

    Open,

    Closed,
}

/// <summary>Why a breaker changed.</summary>
public enum BreakerCause
{
    /// <summary>So many failures in a row.</summary>
    Failures,

    /// <summary><see cref="CircuitBreaker.Trip"/>: the rates of the last seconds.</summary>
    Window,

    /// <summary>The open time is over, and a request came to probe.</summary>
    OpenTimeOver,

    /// <summary>A probe failed.</summary>
    ProbeFailed,

    /// <summary>Enough probes succeeded.</summary>
    ProbesSucceeded,

    /// <summary>No probe came back in time, so their places were given away: from half-open to half-open.</summary>
    ProbesLost,

    Operator,
}

/// <summary>One change of a breaker.</summary>
/// <param name="Number">Counts a breaker's transitions from 1 and starts again at 0 after 1023; no number is left out.</param>
/// <param name="AtMs">The time that its caller gave, in milliseconds.</param>
public readonly record struct BreakerTransition(int Number, BreakerState From, BreakerState To, BreakerCause Cause, long AtMs);

/// <summary>
/// Whether a request may go, and what its result will count for: results of a period that is over change nothing. The request's owner keeps it
/// until the request ends and hands it back exactly once. The default value is refused.
/// </summary>
public readonly record struct BreakerPass
{
    private const int ProbeBit = 1 << 30;
    private const int PassedBit = 1 << 29;

    private readonly int _bits;

    private BreakerPass(int bits) => _bits = bits;

    public static BreakerPass Refused => default;

    public bool IsRefused => _bits == 0;

    /// <summary>Whether it holds one of the few places in the half-open state.</summary>
    public bool IsProbe => (_bits & ProbeBit) != 0;

    /// <summary>The number of the transition that began the period in which it was given.</summary>
    internal int Period => _bits & ~(ProbeBit | PassedBit);

    internal static BreakerPass Passed(int period) => new(PassedBit | period);

    internal static BreakerPass Probe(int period) => new(PassedBit | ProbeBit | period);
}
