using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class OutlierDetectorTests
{
    private static readonly OutlierSettings s_settings = new();

    [Fact]
    public void A_worker_that_fails_five_times_in_a_row_is_ejected_and_comes_back_when_its_time_is_over()
    {
        var fleet = new Fleet(s_settings, 10);
        fleet.InARow[3] = 4;
        Assert.False(fleet.Evaluate(0));
        fleet.InARow[3] = 5;
        Assert.True(fleet.Evaluate(1_000));
        Assert.Equal((OutlierCause.ConsecutiveFailures, 31_000), (fleet.Members[3].Ejected, fleet.Members[3].EjectedUntilMs));
        Assert.False(fleet.Evaluate(30_999));
        Assert.True(fleet.Evaluate(31_000));
        Assert.Equal(OutlierCause.None, fleet.Members[3].Ejected);

        // The old row does not count again, though no request ended it; new failures do.
        Assert.False(fleet.Evaluate(31_100));
        fleet.InARow[3] = 9;
        Assert.False(fleet.Evaluate(31_200));
        fleet.InARow[3] = 10;
        Assert.True(fleet.Evaluate(31_300));
    }

    [Fact]
    public void Each_ejection_lasts_longer_and_that_fades_while_the_worker_is_well()
    {
        var fleet = new Fleet(s_settings, 10);
        var now = 0L;
        foreach (var lasts in (int[])[30_000, 60_000, 90_000])
        {
            fleet.InARow[0] += 5;
            Assert.True(fleet.Evaluate(now));
            Assert.Equal(lasts, fleet.Members[0].EjectedUntilMs - now);
            now += lasts;
            fleet.Evaluate(now);
        }

        fleet.InARow[0] = 0;
        fleet.Evaluate(now += 29_999);
        Assert.Equal(3, fleet.Members[0].Ejections);
        fleet.Evaluate(now += 1);
        fleet.Evaluate(now += 30_000);
        Assert.Equal(1, fleet.Members[0].Ejections);
        fleet.InARow[0] = 5;
        fleet.Evaluate(now);
        Assert.Equal(60_000, fleet.Members[0].EjectedUntilMs - now);
    }

    [Fact]
    public void A_success_share_far_below_the_others_ejects_and_one_like_theirs_does_not()
    {
        var fleet = new Fleet(s_settings, 10);
        Assert.False(fleet.Serve(failures: i => i == 4 ? 40 : 1 + (i % 3)).Evaluate(0));
        Assert.True(fleet.Serve(failures: i => i == 4 ? 40 : 1 + (i % 3)).Evaluate(1_000));
        Assert.Equal(OutlierCause.SuccessShare, fleet.Members[4].Ejected);

        // When all fail alike nobody is an outlier, and a trifle is none either.
        Assert.False(new Fleet(s_settings, 10).Twice(failures: _ => 90));
        Assert.False(new Fleet(s_settings, 10).Twice(failures: i => i == 0 ? 4 : 0));
        Assert.True(new Fleet(s_settings, 10).Twice(failures: i => i == 0 ? 5 : 0));

        // Four workers are too few for a deviation, five are enough.
        Assert.False(new Fleet(s_settings, 4).Twice(failures: i => i == 0 ? 100 : 0));
        Assert.True(new Fleet(s_settings, 5).Twice(failures: i => i == 0 ? 100 : 0));
    }

    [Fact]
    public void A_latency_far_above_the_median_ejects()
    {
        var fleet = new Fleet(s_settings, 6);
        Assert.True(fleet.Twice(nanoseconds: i => i == 5 ? 31_000 : 10_000));
        Assert.Equal(OutlierCause.Latency, fleet.Members[5].Ejected);
        Assert.False(new Fleet(s_settings, 6).Twice(nanoseconds: i => i == 5 ? 30_000 : 10_000));
    }

    [Theory]
    [InlineData(1, 0.2, 0)]
    [InlineData(2, 0.2, 1)]
    [InlineData(2, 1, 1)]
    [InlineData(3, 0.99, 2)]
    [InlineData(4, 0.2, 1)]
    [InlineData(10, 0.2, 2)]
    [InlineData(10, 1, 9)]
    [InlineData(10, 0, 0)]
    public void The_most_that_may_be_out_is_neither_nobody_nor_all(int workers, double share, int most)
    {
        Assert.Equal(most, new OutlierDetector(s_settings with { MaxEjectedShare = share }).MostEjected(workers));
        var fleet = new Fleet(s_settings with { MaxEjectedShare = share }, workers);
        Array.Fill(fleet.InARow, 100);
        fleet.Evaluate(0);
        Assert.Equal(most, fleet.Members.Count(member => member.Ejected != OutlierCause.None));
    }

    [Fact]
    public void Never_are_more_out_than_may_be_nor_for_longer_than_the_longest_time_whatever_happens_and_however_the_pool_shrinks() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var settings = s_settings with { MaxEjectedShare = chance.NextDouble() };
        var fleet = new Fleet(settings, 1 + chance.Next(12));
        var now = 0L;
        for (var i = 0; i < 200; i++)
        {
            now += chance.Next(20_000);
            var worker = chance.Next(fleet.Members.Count);
            fleet.InARow[worker] = chance.Chance(0.3) ? 0 : fleet.InARow[worker] + chance.Next(6);
            fleet.Serve(_ => chance.Next(100), _ => 1_000 + chance.Next(10_000));
            if (chance.Chance(0.02) && fleet.Members.Count > 1)
            {
                fleet.Members.RemoveAt(fleet.Members.Count - 1);
            }

            fleet.Evaluate(now);
            var isOut = fleet.Members.Where(member => member.Ejected != OutlierCause.None).ToArray();
            Assert.InRange(isOut.Length, 0, new OutlierDetector(settings).MostEjected(fleet.Members.Count));
            Assert.All(isOut, member => Assert.InRange(member.EjectedUntilMs, now + 1, now + settings.MaxEjectionMs));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void With_less_than_half_of_the_workers_well_all_are_used()
    {
        Assert.True(PanicMode.Applies(healthy: 1, workers: 3));
        Assert.False(PanicMode.Applies(healthy: 1, workers: 2));
        Assert.True(PanicMode.Applies(healthy: 0, workers: 1));
        Assert.False(PanicMode.Applies(healthy: 0, workers: 0));
        Assert.False(PanicMode.Applies(healthy: 0, workers: 3, healthyShare: 0));
    }

    private sealed class Fleet(OutlierSettings settings, int workers)
    {
        private readonly OutlierDetector _detector = new(settings);
        private readonly Sample[] _samples = new Sample[workers];

        public List<OutlierMember> Members { get; } = [.. Enumerable.Range(0, workers).Select(_ => new OutlierMember(settings))];

        public int[] InARow { get; } = new int[workers];

        /// <summary>Each worker answers a hundred requests more.</summary>
        public Fleet Serve(Func<int, int>? failures = null, Func<int, long>? nanoseconds = null)
        {
            for (var i = 0; i < Members.Count; i++)
            {
                _samples[i] += new Sample(100, failures?.Invoke(i) ?? 0, 0, 100 * (nanoseconds?.Invoke(i) ?? 10_000));
            }

            return this;
        }

        public bool Evaluate(long now)
        {
            for (var i = 0; i < Members.Count; i++)
            {
                Members[i].Observe(_samples[i], InARow[i], now);
            }

            return _detector.Evaluate(Members, now);
        }

        public bool Twice(Func<int, int>? failures = null, Func<int, long>? nanoseconds = null) =>
            Serve(failures, nanoseconds).Evaluate(0) | Serve(failures, nanoseconds).Evaluate(1_000);
    }
}
