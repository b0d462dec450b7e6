using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class CircuitBreakerTests
{
    private static readonly BreakerSettings s_settings = new()
    {
        FailuresToOpen = 5, OpenMs = 100, MaxOpenMs = 1_000, JitterShare = 0, Probes = 2, SuccessesToClose = 3, ProbeTimeMs = 50,
    };

    private readonly RandomSource _random = new(1);

    [Fact]
    public void A_closed_breaker_opens_after_five_failures_in_a_row()
    {
        var breaker = new CircuitBreaker(s_settings);
        Fail(breaker, 4, 1_000);
        Assert.Equal(BreakerState.Closed, breaker.State(1_000));
        Fail(breaker, 1, 1_000);
        Assert.Equal(BreakerState.Open, breaker.State(1_000));
        Assert.False(breaker.MayPass(1_099));
        Assert.True(breaker.TryPass(1_099).IsRefused);
        Assert.Equal(1, breaker.OpenForMs(1_099));
        Assert.True(breaker.MayPass(1_100));
    }

    [Fact]
    public void A_success_between_failures_begins_the_count_anew()
    {
        var breaker = new CircuitBreaker(s_settings);
        for (var i = 0; i < 10; i++)
        {
            Fail(breaker, 4, 0);
            breaker.OnSuccess(breaker.TryPass(0), 0);
        }

        Assert.Equal(BreakerState.Closed, breaker.State(0));
        Fail(breaker, 5, 0);
        Assert.Equal(BreakerState.Open, breaker.State(0));
    }

    [Fact]
    public void Half_open_lets_two_probes_through_and_three_successes_close_it()
    {
        var breaker = Opened(at: 0);
        var first = breaker.TryPass(100);
        var second = breaker.TryPass(100);
        Assert.True(first.IsProbe && second.IsProbe && breaker.TryPass(100).IsRefused);
        breaker.OnSuccess(first, 101);
        breaker.OnSuccess(second, 101);
        Assert.Equal(BreakerState.HalfOpen, breaker.State(101));
        breaker.OnSuccess(breaker.TryPass(101), 101);
        Assert.Equal(BreakerState.Closed, breaker.State(101));
        Assert.False(breaker.TryPass(101).IsProbe);
        Assert.Equal(0, breaker.OpeningsInARow);
    }

    [Fact]
    public void Each_opening_in_a_row_lasts_twice_as_long_up_to_the_longest_and_a_closing_resets_that()
    {
        var breaker = Opened(at: 0);
        var now = 0L;
        foreach (var lasts in (int[])[100, 200, 400, 800, 1_000, 1_000])
        {
            Assert.True(breaker.TryPass(now + lasts - 1).IsRefused);
            now += lasts;
            var probe = breaker.TryPass(now);
            Assert.True(probe.IsProbe);
            breaker.OnFailure(probe, now, _random);
        }

        now += 1_000;
        for (var i = 0; i < 3; i++)
        {
            breaker.OnSuccess(breaker.TryPass(now), now);
        }

        Fail(breaker, 5, now);
        Assert.Equal(100, breaker.OpenForMs(now));
    }

    [Fact]
    public void Jitter_lengthens_an_opening_by_up_to_its_share()
    {
        var lengths = Enumerable.Range(0, 1_000).Select(_ =>
        {
            var breaker = new CircuitBreaker(s_settings with { JitterShare = 0.5 });
            breaker.Trip(0, _random);
            return breaker.OpenForMs(0);
        }).ToArray();
        Assert.InRange(lengths.Min(), 100, 102);
        Assert.InRange(lengths.Max(), 147, 150);
    }

    [Fact]
    public void Probes_that_never_come_back_lose_their_places_and_what_they_say_later_does_not_count()
    {
        var breaker = Opened(at: 0);
        var lost = breaker.TryPass(100);
        breaker.TryPass(120);
        Assert.True(breaker.TryPass(169).IsRefused);
        var next = breaker.TryPass(170);
        Assert.True(next.IsProbe);
        breaker.OnFailure(lost, 171, _random);
        breaker.OnAbandoned(lost);
        Assert.Equal((BreakerState.HalfOpen, 1), (breaker.State(171), breaker.ProbesUnderWay));
        breaker.OnFailure(next, 171, _random);
        Assert.Equal(BreakerState.Open, breaker.State(171));
    }

    [Fact]
    public void An_abandoned_probe_gives_its_place_back_and_decides_nothing()
    {
        var breaker = Opened(at: 0);
        for (var i = 0; i < 100; i++)
        {
            var probe = breaker.TryPass(100);
            Assert.True(probe.IsProbe);
            breaker.OnAbandoned(probe);
        }

        Assert.Equal((BreakerState.HalfOpen, 0), (breaker.State(100), breaker.ProbesUnderWay));
    }

    [Fact]
    public void What_was_sent_before_an_opening_neither_closes_nor_opens_it_later()
    {
        var breaker = new CircuitBreaker(s_settings);
        var old = Enumerable.Range(0, 20).Select(_ => breaker.TryPass(0)).ToArray();
        breaker.Trip(0, _random);
        var probe = breaker.TryPass(100);
        Array.ForEach(old[..10], pass => breaker.OnSuccess(pass, 100));
        Assert.Equal(BreakerState.HalfOpen, breaker.State(100));
        Array.ForEach(old[10..], pass => breaker.OnFailure(pass, 100, _random));
        Assert.Equal((BreakerState.HalfOpen, 1), (breaker.State(100), breaker.ProbesUnderWay));
        breaker.OnSuccess(probe, 100);
        breaker.OnSuccess(breaker.TryPass(100), 100);
        breaker.OnSuccess(breaker.TryPass(100), 100);
        Array.ForEach(old, pass => breaker.OnFailure(pass, 100, _random));
        Assert.Equal(BreakerState.Closed, breaker.State(100));
    }

    [Fact]
    public void A_forced_breaker_ignores_results_until_it_is_let_go()
    {
        var breaker = new CircuitBreaker(s_settings);
        breaker.Force(BreakerForce.Open, 0);
        Assert.True(breaker.TryPass(1_000_000).IsRefused);
        Assert.False(breaker.MayPass(1_000_000));
        breaker.Force(BreakerForce.Closed, 0);
        Fail(breaker, 100, 0);
        Assert.True(breaker.MayPass(0));
        Assert.Equal(BreakerState.ForcedClosed, breaker.State(0));
        breaker.Force(BreakerForce.None, 0);
        Assert.Equal(BreakerState.Closed, breaker.State(0));
        Fail(breaker, 5, 0);
        Assert.Equal(BreakerState.Open, breaker.State(0));
        breaker.Force(BreakerForce.None, 0);
        Assert.Equal(BreakerState.Open, breaker.State(0));
    }

    [Fact]
    public void A_success_of_a_healthy_worker_writes_nothing()
    {
        var breaker = new CircuitBreaker(s_settings);
        var field = typeof(CircuitBreaker).GetField("_word", System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)!;
        var before = field.GetValue(breaker);
        for (var i = 0; i < 1_000; i++)
        {
            breaker.OnSuccess(breaker.TryPass(i), i);
        }

        Assert.Equal(before, field.GetValue(breaker));
        Fail(breaker, 1, 0);
        Assert.NotEqual(before, field.GetValue(breaker));
    }

    [Fact]
    public void Every_transition_is_told_once_in_order_with_cause_and_time()
    {
        const long Later = 3L << 36;
        var breaker = new CircuitBreaker(s_settings);
        Fail(breaker, 5, Later);
        breaker.OnSuccess(breaker.TryPass(Later + 100), Later + 100);
        breaker.OnFailure(breaker.TryPass(Later + 101), Later + 101, _random);
        breaker.Force(BreakerForce.Open, Later + 102);
        breaker.Force(BreakerForce.None, Later + 103);
        breaker.Trip(Later + 104, _random);
        Assert.Equal(
            [
                new BreakerTransition(1, BreakerState.Closed, BreakerState.Open, BreakerCause.Failures, Later),
                new BreakerTransition(2, BreakerState.Open, BreakerState.HalfOpen, BreakerCause.OpenTimeOver, Later + 100),
                new BreakerTransition(3, BreakerState.HalfOpen, BreakerState.Open, BreakerCause.ProbeFailed, Later + 101),
                new BreakerTransition(4, BreakerState.Open, BreakerState.ForcedOpen, BreakerCause.Operator, Later + 102),
                new BreakerTransition(5, BreakerState.ForcedOpen, BreakerState.Closed, BreakerCause.Operator, Later + 103),
                new BreakerTransition(6, BreakerState.Closed, BreakerState.Open, BreakerCause.Window, Later + 104),
            ],
            TransitionsOf(breaker, Later + 200));
        Assert.Empty(TransitionsOf(breaker, Later + 300));
    }

    [Fact]
    public void Up_to_64_transitions_between_two_looks_are_kept_and_more_are_counted_as_missed()
    {
        foreach (var changes in (int[])[64, 65, 500])
        {
            var breaker = new CircuitBreaker(s_settings);
            for (var i = 0; i < changes; i++)
            {
                breaker.Force(i % 2 == 0 ? BreakerForce.Open : BreakerForce.Closed, i);
            }

            var told = TransitionsOf(breaker, 600).ToArray();
            Assert.Equal((Math.Min(64, changes), changes), (told.Length, told.Length + (int)breaker.MissedTransitions));
            Assert.Equal(changes, told[^1].Number);
        }
    }

    /// <summary>2500 steps pass the 1024 at which the numbers begin again; time begins just before 2^36 ms, where the word's begins again.</summary>
    [Fact]
    public void It_does_what_its_model_does_and_every_transition_is_a_legal_one() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var settings = s_settings with { Probes = 1 + chance.Next(3), SuccessesToClose = 1 + chance.Next(4), FailuresToOpen = chance.Next(5) };
        var breaker = new CircuitBreaker(settings);
        var model = new BreakerModel(settings);
        List<BreakerPass> open = [];
        var now = (1L << 36) - 2_000;
        var state = BreakerState.Closed;
        for (var i = 0; i < 2_500; i++)
        {
            now += chance.Next(30);
            Assert.Equal(model.MayPass(now), breaker.MayPass(now));
            model = Step(breaker, model, open, now, chance);
            Assert.Equal((model.Probes, model.Openings), (breaker.ProbesUnderWay, breaker.OpeningsInARow));
            Assert.InRange(breaker.ProbesUnderWay, 0, settings.Probes);
            Assert.Equal(model.State == BreakerState.Open && now >= model.ChangeAtMs ? BreakerState.HalfOpen : model.State, breaker.State(now));
            if (i % 20 == 19)
            {
                state = CheckChain(state, TransitionsOf(breaker, now));
                Assert.Equal((state, 0), (model.State, breaker.MissedTransitions));
            }
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void What_many_threads_do_at_once_could_have_happened_one_after_the_other() =>
        History.Check(rounds: 6_000, threads: 3, steps: 5, _ => new BreakerSubject());

    private static BreakerModel Step(CircuitBreaker breaker, BreakerModel model, List<BreakerPass> open, long now, RandomSource chance)
    {
        switch (chance.Next(12))
        {
            case < 5:
                var (next, refused, probe) = model.TryPass(now);
                var pass = breaker.TryPass(now);
                Assert.Equal((refused, probe), (pass.IsRefused, pass.IsProbe));
                if (!refused)
                {
                    Assert.Equal(next.Period, pass.Period);
                    open.Add(pass);
                }

                return next;
            case < 10 when open.Count > 0:
                var index = chance.Next(open.Count);
                var ended = open[index];
                open.RemoveAt(index);
                switch (chance.Next(5))
                {
                    case < 2:
                        breaker.OnSuccess(ended, now);
                        return model.OnSuccess(ended.Period);
                    case < 4:
                        breaker.OnFailure(ended, now, chance);
                        return model.OnFailure(ended.Period, now);
                    default:
                        breaker.OnAbandoned(ended);
                        return model.OnAbandoned(ended.Period, ended.IsProbe);
                }

            case 10 when chance.Chance(0.3):
                Assert.Equal(model.State == BreakerState.Closed, breaker.Trip(now, chance));
                return model.Trip(now);
            case 11 when chance.Chance(0.3):
                var force = (BreakerForce)chance.Next(3);
                breaker.Force(force, now);
                return model.Force(force);
            default:
                return model;
        }
    }

    private static IEnumerable<BreakerTransition> TransitionsOf(CircuitBreaker breaker, long now)
    {
        while (breaker.TryReadTransition(now, out var transition))
        {
            yield return transition;
        }
    }

    private static BreakerState CheckChain(BreakerState state, IEnumerable<BreakerTransition> transitions)
    {
        foreach (var transition in transitions)
        {
            Assert.Equal(state, transition.From);
            var legal = (transition.From, transition.To, transition.Cause) switch
            {
                (BreakerState.Closed, BreakerState.Open, BreakerCause.Failures or BreakerCause.Window) => true,
                (BreakerState.Open, BreakerState.HalfOpen, BreakerCause.OpenTimeOver) => true,
                (BreakerState.HalfOpen, BreakerState.HalfOpen, BreakerCause.ProbesLost) => true,
                (BreakerState.HalfOpen, BreakerState.Open, BreakerCause.ProbeFailed) => true,
                (BreakerState.HalfOpen, BreakerState.Closed, BreakerCause.ProbesSucceeded) => true,
                (not BreakerState.ForcedOpen, BreakerState.ForcedOpen, BreakerCause.Operator) => true,
                (not BreakerState.ForcedClosed, BreakerState.ForcedClosed, BreakerCause.Operator) => true,
                (BreakerState.ForcedOpen or BreakerState.ForcedClosed, BreakerState.Closed, BreakerCause.Operator) => true,
                _ => false,
            };
            Assert.True(legal, $"{transition}");
            state = transition.To;
        }

        return state;
    }

    private CircuitBreaker Opened(long at)
    {
        var breaker = new CircuitBreaker(s_settings);
        Fail(breaker, 5, at);
        return breaker;
    }

    private void Fail(CircuitBreaker breaker, int times, long now)
    {
        for (var i = 0; i < times; i++)
        {
            breaker.OnFailure(breaker.TryPass(now), now, _random);
        }
    }

    private sealed class BreakerSubject : Subject<BreakerModel>
    {
        private static readonly BreakerSettings s_quick = s_settings with { FailuresToOpen = 2, OpenMs = 10, SuccessesToClose = 2, Probes = 1, ProbeTimeMs = 20 };

        private readonly CircuitBreaker _breaker = new(s_quick);
        private readonly List<BreakerPass>[] _open = [[], [], []];

        public override BreakerModel Initial { get; } = new(s_quick);

        public override Func<BreakerModel, BreakerModel?> Act(int thread, RandomSource chance)
        {
            // Loops' clocks differ a little.
            var now = 1_000L + chance.Next(40);
            var open = _open[thread];
            if (open.Count == 0 || chance.Chance(0.3))
            {
                var pass = _breaker.TryPass(now);
                if (pass.IsRefused)
                {
                    return model => model.TryPass(now).Refused ? model : null;
                }

                open.Add(pass);
                return model =>
                {
                    var (next, refused, probe) = model.TryPass(now);
                    return !refused && probe == pass.IsProbe && next.Period == pass.Period ? next : null;
                };
            }

            var ended = open[^1];
            switch (chance.Next(8))
            {
                case < 3:
                    open.RemoveAt(open.Count - 1);
                    _breaker.OnFailure(ended, now, chance);
                    return model => model.OnFailure(ended.Period, now);
                case < 6:
                    open.RemoveAt(open.Count - 1);
                    _breaker.OnSuccess(ended, now);
                    return model => model.OnSuccess(ended.Period);
                case 6:
                    open.RemoveAt(open.Count - 1);
                    _breaker.OnAbandoned(ended);
                    return model => model.OnAbandoned(ended.Period, ended.IsProbe);
                default:
                    var tripped = _breaker.Trip(now, chance);
                    return model => tripped == (model.State == BreakerState.Closed) ? model.Trip(now) : null;
            }
        }

        public override void AfterRound()
        {
            CheckChain(BreakerState.Closed, TransitionsOf(_breaker, 1_000));
            Assert.Equal(0, _breaker.MissedTransitions);
        }
    }
}
