using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class BreakerWindowTests
{
    private static readonly BreakerWindowSettings s_settings = new();

    private static readonly Baseline s_well = new(new Sample(10_000, 10, 10));

    [Fact]
    public void A_worker_that_fails_more_often_than_the_floor_trips_once_there_are_enough_answers()
    {
        Assert.Equal(Verdict.Unknown, Judge(new Sample(49, 49), s_well));
        Assert.Equal(Verdict.TooManyFailures, Judge(new Sample(50, 25), s_well));
        Assert.Equal(Verdict.Well, Judge(new Sample(50, 24), s_well));
    }

    [Fact]
    public void A_worker_that_is_often_slow_trips_too()
    {
        Assert.Equal(Verdict.TooSlow, Judge(new Sample(100, 0, 80), s_well));
        Assert.Equal(Verdict.Well, Judge(new Sample(100, 0, 79), s_well));
    }

    [Theory]
    [InlineData(0.6)]
    [InlineData(1)]
    public void A_fault_that_all_have_trips_nobody_unless_one_is_clearly_worse(double common)
    {
        var others = new Baseline(new Sample(10_000, (long)(10_000 * common)));
        Assert.Equal(Verdict.Well, Judge(new Sample(100, (long)(100 * common)), others));

        // Three standard errors of 60 % in 100 answers are 14.7 %.
        Assert.Equal(Verdict.Well, Judge(new Sample(100, 74), new Baseline(new Sample(10_000, 6_000))));
        Assert.Equal(Verdict.TooManyFailures, Judge(new Sample(100, 75), new Baseline(new Sample(10_000, 6_000))));
    }

    [Fact]
    public void What_lies_before_the_window_is_forgotten_and_so_is_everything_after_a_change_of_the_breaker()
    {
        var window = new BreakerWindow(s_settings);
        window.Evaluate(default, s_well, 0);
        Assert.Equal(Verdict.TooManyFailures, window.Evaluate(new Sample(100, 100), s_well, 1_000));
        for (var now = 1_250; now < 11_000; now += 250)
        {
            Assert.Equal(Verdict.TooManyFailures, window.Evaluate(new Sample(100, 100), s_well, now));
        }

        Assert.Equal(Verdict.Unknown, window.Evaluate(new Sample(100, 100), s_well, 11_500));
        Assert.Equal(Verdict.TooManyFailures, window.Evaluate(new Sample(200, 200), s_well, 11_750));
        window.Clear();
        Assert.Equal(Verdict.Unknown, window.Evaluate(new Sample(200, 200), s_well, 12_000));
    }

    [Fact]
    public void The_baseline_of_a_worker_is_the_others()
    {
        var windows = Enumerable.Range(0, 3).Select(_ => new BreakerWindow(s_settings)).ToArray();
        foreach (var at in (int[])[0, 1])
        {
            for (var i = 0; i < 3; i++)
            {
                windows[i].Evaluate(new Sample(100 * at, 10 * at * i), default, at * 1_000);
            }
        }

        Assert.Equal(new Sample(200, 30), Baseline.Of(windows, windows[0]).Others);
        Assert.Equal(new Sample(200, 10), Baseline.Of(windows, windows[2]).Others);
    }

    [Fact]
    public void A_window_counts_what_a_list_of_all_samples_would_up_to_its_coarseness() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var window = 100 + chance.Next(20_000);
        var rolling = new RollingCounts(window);
        List<(long At, Sample Sample)> all = [];
        var now = (long)chance.Next(1_000_000);
        var sample = default(Sample);
        for (var i = 0; i < 300; i++)
        {
            now += chance.Next(1 + (chance.Chance(0.02) ? window * 2 : window / 10));
            sample += new Sample(chance.Next(100), chance.Next(50), chance.Next(20), chance.Next(1_000));
            rolling.Add(sample, now);
            all.Add((now, sample));

            // It goes back to a sample at least a window ago, if there is one, and not much longer than the first such.
            var back = all.Single(one => sample - one.Sample == rolling.Current && now - one.At == rolling.SpanMs);
            var exact = all.LastOrDefault(one => one.At <= now - window, all[0]);
            Assert.InRange(back.At, exact.At - (window / 32) - 1, exact.At);
        }
    }).QuickCheckThrowOnFailure();

    private static Verdict Judge(Sample sample, Baseline pool)
    {
        var window = new BreakerWindow(s_settings);
        window.Evaluate(new Sample(1_000, 500, 500), pool, 0);
        return window.Evaluate(new Sample(1_000, 500, 500) + sample, pool, 1_000);
    }
}
