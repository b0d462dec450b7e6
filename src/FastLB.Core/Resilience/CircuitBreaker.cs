using FastLB.Core.Loop;

namespace FastLB.Core.Resilience;

/// <summary>
/// Keeps requests from a worker that fails (Nygard, "Release It!", 2007): closed it lets all through, after so many failures in a row it
/// opens and refuses all, when its time is over it half-opens and lets a few probes through, which close it or open it again for twice as long.
/// <para>
/// All loops and the control thread share it: one word changed by compare-and-swap, no lock. While it is closed and nothing fails nobody
/// writes the word, so that all cores keep it in their caches. A result counts only in the period in which its request was let through: what was sent
/// before an opening neither closes nor opens it later.
/// </para>
/// <para>
/// Not promised: that requests that were let through before it opened are few, or that a probe whose place was given away after
/// <see cref="BreakerSettings.ProbeTimeMs"/> does not still run beside the new ones. Time is the caller's, in milliseconds; loops' clocks may
/// differ by a little.
/// </para>
/// </summary>
public sealed class CircuitBreaker : OwnCacheLines
{
    private long _word;
    private readonly BreakerSettings _settings;
    private readonly BreakerHistory _history = new();
    private long _missedTransitions;

    public CircuitBreaker(BreakerSettings settings)
    {
        settings.Check();
        _settings = settings;
    }

    /// <summary>Transitions that <see cref="TryReadTransition"/> came too late for.</summary>
    public long MissedTransitions => Volatile.Read(ref _missedTransitions);

    /// <summary>Openings since it was closed last, at most 15.</summary>
    public int OpeningsInARow => BreakerWord.Unpack(Volatile.Read(ref _word)).Openings;

    /// <summary>Probes that hold a place. 0 unless half-open.</summary>
    public int ProbesUnderWay => BreakerWord.Unpack(Volatile.Read(ref _word)).Probes;

    /// <summary>Whether a request would be let through, for the choice of a worker. Writes nothing; <see cref="TryPass"/> decides. Any thread.</summary>
    public bool MayPass(long nowMs)
    {
        var word = Volatile.Read(ref _word);
        return BreakerWord.StateOf(word) == BreakerState.Closed || MayPassUnlessClosed(word, nowMs);
    }

    /// <summary>A request is about to be sent. What is not refused must come back by <see cref="OnSuccess"/>, <see cref="OnFailure"/> or <see cref="OnAbandoned"/>.</summary>
    public BreakerPass TryPass(long nowMs)
    {
        var word = Volatile.Read(ref _word);
        return BreakerWord.StateOf(word) == BreakerState.Closed ? BreakerPass.Passed(BreakerWord.PeriodOf(word)) : TryPassUnlessClosed(word, nowMs);
    }

    /// <summary>The request was answered.</summary>
    public void OnSuccess(BreakerPass pass, long nowMs)
    {
        var word = Volatile.Read(ref _word);
        if (!BreakerWord.IsClosedWithoutFailures(word))
        {
            Succeed(word, pass, nowMs);
        }
    }

    /// <summary>The worker failed it.</summary>
    public void OnFailure(BreakerPass pass, long nowMs, RandomSource random)
    {
        var word = Volatile.Read(ref _word);
        while (Counts(pass, word))
        {
            var now = BreakerWord.Unpack(word);
            BreakerWord next;
            var cause = BreakerCause.Failures;
            if (now.State == BreakerState.Closed && _settings.FailuresToOpen > 0)
            {
                next = now.Count + 1 < _settings.FailuresToOpen ? now with { Count = now.Count + 1 } : Opened(now, nowMs, random);
            }
            else if (now.State == BreakerState.HalfOpen)
            {
                Invariant.That(pass.IsProbe && now.Probes > 0, "what passes while half-open is a probe");
                next = Opened(now, nowMs, random);
                cause = BreakerCause.ProbeFailed;
            }
            else
            {
                return;
            }

            if (TryChange(ref word, now, next, cause, nowMs))
            {
                return;
            }
        }
    }

    /// <summary>It ended with neither: the client left, say. A probe gives its place back.</summary>
    public void OnAbandoned(BreakerPass pass)
    {
        var word = Volatile.Read(ref _word);
        while (pass.IsProbe && Counts(pass, word))
        {
            var now = BreakerWord.Unpack(word);
            Invariant.That(now.State == BreakerState.HalfOpen && now.Probes > 0, "a probe ends once");
            if (TryChange(ref word, now, now with { Probes = now.Probes - 1 }, default, 0))
            {
                return;
            }
        }
    }

    /// <summary>Opens it if it is closed, because the rates of the last seconds say so. True if this call did.</summary>
    public bool Trip(long nowMs, RandomSource random)
    {
        var word = Volatile.Read(ref _word);
        while (BreakerWord.StateOf(word) == BreakerState.Closed)
        {
            var now = BreakerWord.Unpack(word);
            if (TryChange(ref word, now, Opened(now, nowMs, random), BreakerCause.Window, nowMs))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>What an operator wants. <see cref="BreakerForce.None"/> ends a forced state with a closed breaker, and does nothing in the others.</summary>
    public void Force(BreakerForce force, long nowMs)
    {
        var word = Volatile.Read(ref _word);
        while (true)
        {
            var now = BreakerWord.Unpack(word);
            var state = force switch
            {
                BreakerForce.Open => BreakerState.ForcedOpen,
                BreakerForce.Closed => BreakerState.ForcedClosed,
                _ => now.State is BreakerState.ForcedOpen or BreakerState.ForcedClosed ? BreakerState.Closed : now.State,
            };
            if (state == now.State || TryChange(ref word, now, now.Next(state), BreakerCause.Operator, nowMs))
            {
                return;
            }
        }
    }

    /// <summary>The state that a request would find: half-open from the moment on at which a probe would be let through.</summary>
    public BreakerState State(long nowMs)
    {
        var now = BreakerWord.Unpack(Volatile.Read(ref _word));
        return now.State == BreakerState.Open && now.IsDue(nowMs) ? BreakerState.HalfOpen : now.State;
    }

    /// <summary>How long it still refuses everything, in milliseconds: 0 unless it is open.</summary>
    public long OpenForMs(long nowMs)
    {
        var now = BreakerWord.Unpack(Volatile.Read(ref _word));
        return now.State == BreakerState.Open && !now.IsDue(nowMs) ? (now.ChangeAtMs - nowMs) & BreakerWord.TimeMask : 0;
    }

    /// <summary>
    /// The next transition that was not read yet, oldest first. Only one thread calls it, often enough: more than 64 between two calls are counted as
    /// missed (above 1023 not even that).
    /// </summary>
    public bool TryReadTransition(long nowMs, out BreakerTransition transition) =>
        _history.TryRead(BreakerWord.PeriodOf(Volatile.Read(ref _word)), nowMs, out transition, ref _missedTransitions);

    private static bool Counts(BreakerPass pass, long word) => !pass.IsRefused && pass.Period == BreakerWord.PeriodOf(word);

    private bool MayPassUnlessClosed(long word, long nowMs)
    {
        var now = BreakerWord.Unpack(word);
        return now.State switch
        {
            BreakerState.Open => now.IsDue(nowMs),
            BreakerState.HalfOpen => now.Probes < _settings.Probes || now.IsDue(nowMs),
            _ => now.State != BreakerState.ForcedOpen,
        };
    }

    private BreakerPass TryPassUnlessClosed(long word, long nowMs)
    {
        while (true)
        {
            var now = BreakerWord.Unpack(word);
            if (now.State is BreakerState.Closed or BreakerState.ForcedClosed)
            {
                return BreakerPass.Passed(now.Period);
            }

            if (!MayPassUnlessClosed(word, nowMs))
            {
                return BreakerPass.Refused;
            }

            var lostAt = (nowMs + _settings.ProbeTimeMs) & BreakerWord.TimeMask;
            BreakerWord next;
            if (now.State == BreakerState.HalfOpen && now.Probes < _settings.Probes)
            {
                next = now with { Probes = now.Probes + 1, ChangeAtMs = lostAt };
            }
            else
            {
                // What succeeded before the others were lost still counts.
                next = now.Next(BreakerState.HalfOpen) with { Count = now.Count, Probes = 1, Openings = now.Openings, ChangeAtMs = lostAt };
            }

            var cause = now.State == BreakerState.HalfOpen ? BreakerCause.ProbesLost : BreakerCause.OpenTimeOver;
            if (TryChange(ref word, now, next, cause, nowMs))
            {
                return BreakerPass.Probe(next.Period);
            }
        }
    }

    private void Succeed(long word, BreakerPass pass, long nowMs)
    {
        while (Counts(pass, word))
        {
            var now = BreakerWord.Unpack(word);
            BreakerWord next;
            if (now.State == BreakerState.Closed && now.Count > 0)
            {
                next = now with { Count = 0 };
            }
            else if (now.State == BreakerState.HalfOpen)
            {
                Invariant.That(pass.IsProbe && now.Probes > 0, "what passes while half-open is a probe");
                next = now.Count + 1 < _settings.SuccessesToClose
                    ? now with { Count = now.Count + 1, Probes = now.Probes - 1 }
                    : now.Next(BreakerState.Closed);
            }
            else
            {
                return;
            }

            if (TryChange(ref word, now, next, BreakerCause.ProbesSucceeded, nowMs))
            {
                return;
            }
        }
    }

    /// <summary>Swaps the word if it is still what was seen, and writes down a transition; otherwise <paramref name="word"/> is what it is now.</summary>
    private bool TryChange(ref long word, in BreakerWord now, in BreakerWord next, BreakerCause cause, long nowMs)
    {
        Invariant.That(next.Probes <= _settings.Probes && (next.Probes == 0 || next.State == BreakerState.HalfOpen), "only half-open, and only so many probes");
        var seen = Interlocked.CompareExchange(ref _word, next.Pack(), word);
        if (seen != word)
        {
            word = seen;
            return false;
        }

        if (next.Period != now.Period)
        {
            _history.Add(now.State, next, cause, nowMs);
        }

        return true;
    }

    private BreakerWord Opened(in BreakerWord now, long nowMs, RandomSource random)
    {
        var doublings = now.Openings;
        var openMs = _settings.OpenMs > _settings.MaxOpenMs >> doublings ? _settings.MaxOpenMs : _settings.OpenMs << doublings;
        openMs += (long)(openMs * _settings.JitterShare * random.NextDouble());
        return now.Next(BreakerState.Open) with
        {
            Openings = Math.Min(doublings + 1, BreakerWord.MaxOpenings),
            ChangeAtMs = (nowMs + openMs) & BreakerWord.TimeMask,
        };
    }
}
