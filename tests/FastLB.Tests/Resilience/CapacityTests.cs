using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

/// <summary>The two estimates that follow latency: a limit on what is under way, and how much of a pool is used.</summary>
public sealed class CapacityTests
{
    private const long Millisecond = 1_000_000;

    /// <summary>Workers that serve 50 at once in 10 ms: more than that wait, so that answers take longer in proportion.</summary>
    [Fact]
    public void The_gradient_limit_settles_between_one_and_four_times_what_the_workers_can_do_at_once()
    {
        var limit = new GradientLimit(new GradientSettings { InitialLimit = 400 });
        var (answers, nanoseconds) = (0L, 0L);
        for (var round = 0; round < 2_000; round++)
        {
            // A quiet round now and then, from which the usual time is learned.
            var underWay = round % 4 == 0 ? 10 : limit.Limit;
            answers += 1_000;
            nanoseconds += 1_000 * (long)(10 * Millisecond * Math.Max(1, underWay / 50.0));
            limit.Update(answers, nanoseconds, underWay);
        }

        Assert.InRange(limit.Limit, 50, 200);
    }

    [Fact]
    public void A_limit_that_is_not_half_used_stays_and_one_that_is_used_without_delay_grows()
    {
        var limit = new GradientLimit(new GradientSettings());
        for (var round = 1; round <= 100; round++)
        {
            Assert.Equal(64, limit.Update(round * 100, round * 100 * Millisecond, 31));
        }

        Assert.Equal(64, limit.Update(10_000, 10_000 * Millisecond, 64));
        for (var round = 101; round <= 600; round++)
        {
            limit.Update(round * 100, round * 100 * Millisecond, limit.Limit);
        }

        Assert.InRange(limit.Limit, 400, 500);
    }

    [Fact]
    public void A_sudden_slowness_shrinks_the_limit_to_the_least_and_no_further()
    {
        var limit = new GradientLimit(new GradientSettings { MinLimit = 7, QueueSize = 1 });
        var (answers, nanoseconds) = (0L, 0L);
        for (var round = 0; round < 150; round++)
        {
            answers += 100;
            nanoseconds += 100 * (round < 100 ? 1 : 100) * Millisecond;
            limit.Update(answers, nanoseconds, limit.Limit);
        }

        Assert.Equal(7, limit.Limit);
    }

    [Fact]
    public void The_limit_stays_within_its_bounds_whatever_is_measured() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var settings = new GradientSettings { MinLimit = 1 + chance.Next(20), MaxLimit = 20 + chance.Next(1_000), InitialLimit = chance.Next(2_000) };
        var limit = new GradientLimit(settings);
        var (answers, nanoseconds) = (0L, 0L);
        for (var round = 0; round < 300; round++)
        {
            answers += chance.Next(1_000);
            nanoseconds += (long)Math.Pow(10, chance.NextDouble() * 12);
            Assert.InRange(limit.Update(answers, nanoseconds, chance.Next(2_000)), settings.MinLimit, settings.MaxLimit);
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Of_a_processor_sharing_pool_use_and_capacity_are_found()
    {
        var pool = new SharedPool(capacity: 1_000, aloneMs: 5);
        var reading = pool.Run(seconds: 30, rate: _ => 20);
        reading = pool.Run(seconds: 120, rate: _ => 700);
        Assert.InRange(reading.Use, 0.65, 0.71);
        Assert.InRange(reading.Capacity, 980, 1_080);
        Assert.InRange(reading.Headroom, 280, 380);
        Assert.Null(reading.FullInMs);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(400)]
    public void A_rate_that_rises_steadily_is_told_when_the_pool_will_be_full_in_spite_of_a_wild_half_minute(double wild)
    {
        var pool = new SharedPool(capacity: 1_000, aloneMs: 5);
        pool.Run(seconds: 30, rate: _ => 20);

        // 1 % of the capacity in 6 s: full after 600 s, 360 s from here.
        var reading = pool.Run(seconds: 240, rate: second => Math.Max(20, (second * 1_000 / 600.0) + (second is >= 190 and < 220 ? wild : 0)));
        Assert.NotNull(reading.FullInMs);
        Assert.InRange(reading.FullInMs!.Value, 300_000, 420_000);
        Assert.Null(pool.Run(seconds: 300, rate: _ => 300).FullInMs);
    }

    [Fact]
    public void What_goes_up_and_down_is_no_trend() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var pool = new SharedPool(capacity: 1_000, aloneMs: 5);
        var told = 0;
        pool.Run(seconds: 30, rate: _ => 20);
        for (var i = 0; i < 20; i++)
        {
            told += pool.Run(seconds: 300, rate: _ => 300 + chance.Next(300)).FullInMs is null ? 0 : 1;
        }

        Assert.InRange(told, 0, 5);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_limit_that_is_reached_means_full()
    {
        var capacity = new PoolCapacity();
        for (var second = 0L; second <= 20; second++)
        {
            capacity.Update(second * 1_000, second * 1_000 * 10 * Millisecond, inFlight: 10, limit: 10, second * 1_000);
        }

        Assert.Equal((1, 0), (capacity.Current.Use, capacity.Current.FullInMs));
        Assert.Equal(1_000, capacity.Current.Capacity, 1.0);
    }

    [Fact]
    public void A_pool_without_requests_says_nothing()
    {
        var capacity = new PoolCapacity();
        for (var second = 0L; second <= 100; second++)
        {
            Assert.Equal(default, capacity.Update(0, 0, 0, 0, second * 1_000));
        }
    }

    private sealed class SharedPool(double capacity, double aloneMs)
    {
        private readonly PoolCapacity _estimate = new();
        private double _answers;
        private double _nanoseconds;
        private long _nowMs;

        public CapacityReading Run(int seconds, Func<int, double> rate)
        {
            for (var second = 0; second < seconds; second++)
            {
                var now = rate(second);
                _answers += now;
                _nanoseconds += now * aloneMs * Millisecond / (1 - (now / capacity));
                _nowMs += 1_000;
                _estimate.Update((long)_answers, (long)_nanoseconds, (long)(now * aloneMs / 1_000), 0, _nowMs);
            }

            return _estimate.Current;
        }
    }
}
