using FastLB.Core.Resilience;

namespace FastLB.Tests.Resilience;

/// <summary>A breaker without jitter, told in plain words on plain numbers.</summary>
internal sealed record BreakerModel(BreakerSettings Settings, BreakerState State, int Count, int Probes, int Openings, int Period, long ChangeAtMs)
{
    public BreakerModel(BreakerSettings settings)
        : this(settings, BreakerState.Closed, 0, 0, 0, 0, 0)
    {
    }

    public bool MayPass(long now) => State switch
    {
        BreakerState.Closed or BreakerState.ForcedClosed => true,
        BreakerState.Open => now >= ChangeAtMs,
        BreakerState.HalfOpen => Probes < Settings.Probes || now >= ChangeAtMs,
        _ => false,
    };

    public (BreakerModel Next, bool Refused, bool Probe) TryPass(long now)
    {
        if (!MayPass(now))
        {
            return (this, true, false);
        }

        if (State is BreakerState.Closed or BreakerState.ForcedClosed)
        {
            return (this, false, false);
        }

        if (State == BreakerState.HalfOpen && Probes < Settings.Probes)
        {
            return (this with { Probes = Probes + 1, ChangeAtMs = now + Settings.ProbeTimeMs }, false, true);
        }

        var successes = State == BreakerState.HalfOpen ? Count : 0;
        return (Enter(BreakerState.HalfOpen) with { Count = successes, Probes = 1, Openings = Openings, ChangeAtMs = now + Settings.ProbeTimeMs }, false, true);
    }

    public BreakerModel OnSuccess(int period)
    {
        if (period != Period)
        {
            return this;
        }

        return State switch
        {
            BreakerState.Closed => this with { Count = 0 },
            BreakerState.HalfOpen when Count + 1 == Settings.SuccessesToClose => Enter(BreakerState.Closed),
            BreakerState.HalfOpen => this with { Count = Count + 1, Probes = Probes - 1 },
            _ => this,
        };
    }

    public BreakerModel OnFailure(int period, long now)
    {
        if (period != Period)
        {
            return this;
        }

        return State switch
        {
            BreakerState.Closed when Settings.FailuresToOpen == 0 => this,
            BreakerState.Closed when Count + 1 < Settings.FailuresToOpen => this with { Count = Count + 1 },
            BreakerState.Closed or BreakerState.HalfOpen => Open(now),
            _ => this,
        };
    }

    public BreakerModel OnAbandoned(int period, bool probe) => probe && period == Period ? this with { Probes = Probes - 1 } : this;

    public BreakerModel Trip(long now) => State == BreakerState.Closed ? Open(now) : this;

    public BreakerModel Force(BreakerForce force)
    {
        var forced = State is BreakerState.ForcedOpen or BreakerState.ForcedClosed;
        var wish = force == BreakerForce.Open ? BreakerState.ForcedOpen : force == BreakerForce.Closed ? BreakerState.ForcedClosed : forced ? BreakerState.Closed : State;
        return wish == State ? this : Enter(wish);
    }

    private BreakerModel Enter(BreakerState state) => new(Settings, state, 0, 0, 0, (Period + 1) % 1024, 0);

    private BreakerModel Open(long now) => Enter(BreakerState.Open) with
    {
        Openings = Math.Min(15, Openings + 1),
        ChangeAtMs = now + (long)Math.Min(Settings.MaxOpenMs, Settings.OpenMs * Math.Pow(2, Openings)),
    };
}
