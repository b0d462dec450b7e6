using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class RetryTests
{
    [Theory]
    [InlineData(0.0, 0)]
    [InlineData(0.05, 50)]
    [InlineData(0.2, 200)]
    [InlineData(1.0, 1_000)]
    public void Requests_deposit_the_share_that_is_configured(double share, int retries)
    {
        var budget = new RetryBudget(0, share);
        while (budget.TryWithdraw(0))
        {
            // What a new budget has before any request.
        }

        budget.Deposit(1_000);

        var count = 0;
        while (budget.TryWithdraw(0))
        {
            count++;
        }

        Assert.Equal(retries, count);
    }

    [Fact]
    public void Over_any_time_retries_stay_within_the_budget_and_none_is_refused_that_it_has() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var now = 1_000_000L;
        var budget = new RetryBudget(now);
        List<(long AtMs, int Deposited, int Withdrawn)> past = [(now, 0, 0)];
        var (deposited, withdrawn) = (0, 0);
        for (var i = 0; i < 400; i++)
        {
            now += chance.Chance(0.05) ? chance.Next(60_000) : chance.Next(20);
            if (chance.Chance(0.4))
            {
                var requests = 1 + chance.Next(20);
                budget.Deposit(requests);
                deposited += requests;
            }

            var refused = false;
            for (var wish = chance.Next(chance.Chance(0.1) ? 200 : 5); wish > 0 && !refused; wish--)
            {
                refused = !budget.TryWithdraw(now);
                withdrawn += refused ? 0 : 1;
            }

            // From the beginning 100, from any moment on what can have been saved, 1000; a fifth of the requests and ten per second.
            Assert.All(past, then => Assert.True(
                withdrawn - then.Withdrawn <= 1_000 + (0.2 * (deposited - then.Deposited)) + ((now - then.AtMs) / 100.0), $"{withdrawn} since {then}"));
            Assert.True(withdrawn <= 100 + (0.2 * deposited) + ((now - past[0].AtMs) / 100.0));
            Assert.True(!refused || withdrawn + 1 > Math.Min(1_000, 100 + (0.2 * deposited) + ((now - past[0].AtMs) / 100.0)));
            past.Add((now, deposited, withdrawn));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_pause_is_drawn_evenly_from_nothing_to_a_bound_that_doubles_up_to_its_cap()
    {
        var random = new RandomSource(1);
        foreach (var (attempt, bound) in ((int, int)[])[(0, 25), (1, 50), (2, 100), (5, 800), (6, 1_000), (31, 1_000), (1_000_000, 1_000)])
        {
            var delays = Enumerable.Range(0, 20_000).Select(_ => Backoff.DelayMs(attempt, 25, 1_000, random)).ToArray();
            Assert.Equal((0, bound), (delays.Min(), delays.Max()));
            Assert.InRange(delays.Average(), bound * 0.48, bound * 0.52);
        }

        Assert.Equal(0, Backoff.DelayMs(3, 0, 1_000, random));
        Assert.Equal(0, Backoff.DelayMs(3, 25, 0, random));
        Assert.InRange(Backoff.DelayMs(31, int.MaxValue, int.MaxValue, random), 0, int.MaxValue);
    }
}
