using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class RateLimiterTests
{
    private const long Start = 1_000_000_000;

    [Fact]
    public void A_burst_is_allowed_at_once_and_then_one_request_per_interval()
    {
        var limiter = new RateLimiter(new RateSettings { PerSecond = 10, Burst = 3 });
        Assert.Equal(new RateVerdict(true, 2, 0, 100_000), limiter.TryTake(7, Start));
        Assert.Equal(new RateVerdict(true, 1, 0, 200_000), limiter.TryTake(7, Start));
        Assert.Equal(new RateVerdict(true, 0, 100_000, 300_000), limiter.TryTake(7, Start));
        Assert.Equal(new RateVerdict(false, 0, 100_000, 300_000), limiter.TryTake(7, Start));
        Assert.Equal(new RateVerdict(false, 0, 1, 200_001), limiter.TryTake(7, Start + 99_999));
        Assert.Equal((1, 201), (limiter.TryTake(7, Start + 99_999).RetryAfterMs, limiter.TryTake(7, Start + 99_999).ResetMs));
        Assert.True(limiter.TryTake(7, Start + 100_000).Allowed);
        Assert.False(limiter.TryTake(7, Start + 100_000).Allowed);
        Assert.True(limiter.TryTake(8, Start + 100_000).Allowed);
    }

    [Fact]
    public void Once_an_hour_and_a_million_times_a_second_are_both_exact()
    {
        var seldom = new RateLimiter(new RateSettings { PerSecond = RateSettings.MinPerSecond, Burst = 1 });
        Assert.True(seldom.TryTake(1, Start).Allowed);
        var refused = seldom.TryTake(1, Start + 1_800_000_000);
        Assert.False(refused.Allowed);
        Assert.InRange(refused.RetryAfterMs, 1_800_000, 1_800_000 * 1.001);
        Assert.True(seldom.TryTake(1, Start + 1_800_000_000 + refused.RetryAfterUs).Allowed);

        var often = new RateLimiter(new RateSettings { PerSecond = 1_000_000, Burst = 10 });
        var allowed = Enumerable.Range(0, 10_000).Sum(us => Enumerable.Range(0, 3).Count(_ => often.TryTake(1, Start + us).Allowed));
        Assert.Equal(10 + 9_999, allowed);
    }

    /// <summary>The definition of a limit with a burst, in whole numbers and without a bucket.</summary>
    [Fact]
    public void Never_more_than_the_burst_and_the_rate_allow_over_any_window_and_never_less() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var settings = new RateSettings
        {
            PerSecond = AnyRate(chance),
            Burst = 1 + chance.Next(chance.Chance(0.5) ? 4 : 40),
            Keys = 1,
        };
        var limiter = new RateLimiter(settings);
        var interval = 1_000_000 / settings.PerSecond;
        List<long> allowed = [];
        
        // Half of them live through the moment at which the slots' times begin anew.
        var now = chance.Chance(0.5) ? Start : (1L << 44) - (chance.Next(100) * (long)interval);
        for (var i = 0; i < 300; i++)
        {
            now += (long)(interval * (chance.Chance(0.02) ? 100 : chance.NextDouble() * 2));
            var verdict = limiter.TryTake(42, now);
            if (verdict.Allowed)
            {
                allowed.Add(now);
            }

            // Times are rounded down to a 1000th of the interval, intervals up by at most a 1000th.
            var mayBe = allowed.Select((at, index) => (Count: allowed.Count - index, Windows: (now - at) / interval)).ToArray();
            Assert.All(mayBe, window => Assert.True(window.Count <= settings.Burst + window.Windows + 0.002, $"{window} for {settings}"));
            if (!verdict.Allowed)
            {
                Assert.Contains(mayBe, window => window.Count + 1 > settings.Burst + (window.Windows * 0.999) - 0.002);
                Assert.Equal(0, verdict.RemainingBurst);
            }

            Assert.Equal(!verdict.Allowed || verdict.RemainingBurst == 0, verdict.RetryAfterUs > 0);
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_refused_client_that_waits_as_told_is_allowed_and_one_that_comes_a_little_sooner_is_not() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var settings = new RateSettings { PerSecond = AnyRate(chance), Burst = 1 + chance.Next(20) };
        var limiter = new RateLimiter(settings);
        var now = Start;
        var sooner = (long)(1_000_000 / settings.PerSecond / 500) + 2;
        for (var i = 0; i < 50; i++)
        {
            var verdict = limiter.TryTake(1, now);
            while (verdict.Allowed)
            {
                verdict = limiter.TryTake(1, now);
            }

            Assert.False(limiter.TryTake(1, now + Math.Max(0, verdict.RetryAfterUs - sooner)).Allowed);
            now += verdict.RetryAfterUs;
            Assert.True(limiter.TryTake(1, now).Allowed);
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Of_more_keys_than_fit_the_one_that_has_used_least_is_forgotten()
    {
        // One set of seven slots; keys differ in their tags.
        var limiter = new RateLimiter(new RateSettings { PerSecond = 1.0 / 60, Burst = 10, Keys = 7 });
        for (var key = 1UL; key <= 7; key++)
        {
            for (var i = 0UL; i < key; i++)
            {
                Assert.True(limiter.TryTake(key << 44, Start).Allowed);
            }
        }

        Assert.Equal(9, limiter.TryTake(8UL << 44, Start).RemainingBurst);
        Assert.Equal(9, limiter.TryTake(1UL << 44, Start).RemainingBurst);
        for (var key = 2UL; key <= 7; key++)
        {
            Assert.Equal(10 - (int)key - 1, limiter.TryTake(key << 44, Start).RemainingBurst);
        }
    }

    [Fact]
    public void Keys_that_others_push_out_are_still_found_afterwards_if_they_had_used_more()
    {
        var limiter = new RateLimiter(new RateSettings { PerSecond = 1.0 / 60, Burst = 10, Keys = 1_000 });
        var random = new RandomSource(3);
        while (limiter.TryTake(0x1234_5678_9ABC_DEF0, Start).Allowed)
        {
        }

        for (var i = 0; i < 100_000; i++)
        {
            Assert.True(limiter.TryTake(random.NextUInt64(), Start + i).Allowed);
        }

        Assert.False(limiter.TryTake(0x1234_5678_9ABC_DEF0, Start + 100_000).Allowed);
    }

    [Fact]
    public void Sweeping_forgets_exactly_the_keys_that_have_their_whole_burst()
    {
        var limiter = new RateLimiter(new RateSettings { PerSecond = 1, Burst = 3, Keys = 100 });
        for (var key = 1UL; key <= 6; key++)
        {
            for (var i = 0UL; i < (key + 1) / 2; i++)
            {
                Assert.True(limiter.TryTake(key << 44, Start).Allowed);
            }
        }

        Assert.Equal(6, limiter.Sweep(Start));
        Assert.Equal(4, limiter.Sweep(Start + 1_000_000));
        Assert.False(Enumerable.Range(0, 3).All(_ => limiter.TryTake(5UL << 44, Start + 1_000_000).Allowed));
        Assert.Equal(0, limiter.Sweep(Start + 10_000_000));
    }

    [Fact]
    public void A_key_that_returns_when_its_time_begins_anew_has_its_whole_burst_if_it_was_swept()
    {
        var settings = new RateSettings { PerSecond = 1_000_000, Burst = 1 };
        var again = Start + (1L << 32);
        foreach (var sweep in (bool[])[true, false])
        {
            // 2^44 units of 2^-12 us later the slot's time looks as if it were now.
            var limiter = new RateLimiter(settings);
            Assert.True(limiter.TryTake(1, Start).Allowed);
            if (sweep)
            {
                Assert.Equal(0, limiter.Sweep(Start + 60_000_000));
            }

            Assert.Equal(sweep, limiter.TryTake(1, again).Allowed);
            Assert.True(limiter.TryTake(1, again + 1).Allowed);
        }
    }

    [Fact]
    public void What_many_threads_do_at_once_could_have_happened_one_after_the_other() =>
        History.Check(rounds: 8_000, threads: 3, steps: 5, chance => new LimiterSubject(chance));

    /// <summary>From one per hour to a million per second, every magnitude as likely.</summary>
    private static double AnyRate(RandomSource chance) =>
        RateSettings.MinPerSecond * Math.Pow(RateSettings.MaxPerSecond / RateSettings.MinPerSecond, chance.NextDouble());

    [Fact]
    public void Four_threads_on_one_key_are_allowed_its_burst_together_and_not_one_more()
    {
        const int Burst = 1_000_000;
        var limiter = new RateLimiter(new RateSettings { PerSecond = RateSettings.MinPerSecond, Burst = Burst });
        Assert.Equal(Burst, AllowedToFourThreads(calls: 500_000, () => limiter.TryTake(5, Start).Allowed));
    }

    private static int AllowedToFourThreads(int calls, Func<bool> isAllowed)
    {
        var allowed = 0;
        AtOnce.Run(threads: 4, _ =>
        {
            for (var call = 0; call < calls; call++)
            {
                if (isAllowed())
                {
                    Interlocked.Increment(ref allowed);
                }
            }
        });
        return allowed;
    }

    private sealed record State(long First, long Second, long Third);

    /// <summary>Three keys of one set; the model counts in microseconds.</summary>
    private sealed class LimiterSubject : Subject<State>
    {
        private const int Interval = 1_000;
        private const int Burst = 2;

        private readonly RateLimiter _limiter = new(new RateSettings { PerSecond = 1_000, Burst = Burst, Keys = 7 });

        /// <summary>Some keys are known before, as slots that may be given up.</summary>
        public LimiterSubject(RandomSource chance)
        {
            for (var i = chance.Next(10); i > 0; i--)
            {
                _limiter.TryTake(((ulong)chance.Next(1_000) + 10) << 44, Start - 1_000_000);
            }
        }

        public override State Initial => new(0, 0, 0);

        public override Func<State, State?> Act(int thread, RandomSource chance)
        {
            if (chance.Chance(0.2))
            {
                _limiter.Sweep(Start);
                return state => state;
            }

            var now = Start + (chance.Next(4) * 500);
            var key = chance.Next(3);
            var verdict = _limiter.TryTake((ulong)(key + 1) << 44, now);
            return state =>
            {
                var time = key == 0 ? state.First : key == 1 ? state.Second : state.Third;
                var next = Math.Max(time, now) + Interval;
                var allowed = next - now <= Burst * Interval;
                var expected = allowed ? new RateVerdict(true, (int)((now + (Burst * Interval) - next) / Interval), Math.Max(0, next - now - ((Burst - 1) * Interval)), next - now)
                    : new RateVerdict(false, 0, next - now - (Burst * Interval), next - now - Interval);
                return expected != verdict ? null
                    : !allowed ? state
                    : key == 0 ? state with { First = next } : key == 1 ? state with { Second = next } : state with { Third = next };
            };
        }
    }
}
