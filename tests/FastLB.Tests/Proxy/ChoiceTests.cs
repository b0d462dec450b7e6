using System.Net;
using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Tests.Proxy;

/// <summary>Cookies, routes, strategies and budgets: what decides where a request goes.</summary>
public class ChoiceTests
{
    private static readonly byte[] s_key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Fact]
    public void A_cookie_that_we_made_names_its_slot_and_any_other_none()
    {
        var cookie = new StickyCookie("app", new StickySettings("FASTLB", null), s_key);
        var value = ValueOf(cookie, 3);
        Assert.True(cookie.TryRead(value, out var slot));
        Assert.Equal(3, slot);
        for (var i = 0; i < value.Length; i++)
        {
            foreach (var bit in new[] { 1, 2, 32 })
            {
                var forged = (byte[])value.Clone();
                forged[i] ^= (byte)bit;
                Assert.False(cookie.TryRead(forged, out _), Encoding.ASCII.GetString(forged));
            }

            Assert.False(cookie.TryRead(value.AsSpan(0, i), out _));
        }

        Assert.False(cookie.TryRead([.. value, (byte)'x'], out _));
    }

    [Fact]
    public void A_cookie_of_another_pool_or_another_secret_is_worth_nothing()
    {
        var settings = new StickySettings("FASTLB", null);
        var cookie = new StickyCookie("app", settings, s_key);
        Assert.False(cookie.TryRead(ValueOf(new StickyCookie("other", settings, s_key), 1), out _));
        Assert.False(cookie.TryRead(ValueOf(new StickyCookie("app", settings, new byte[32]), 1), out _));
        Assert.True(cookie.TryRead(ValueOf(new StickyCookie("app", settings, s_key), 1), out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("-1.")]
    [InlineData("+1.")]
    [InlineData("4096.")]
    [InlineData("99999999999999999999.")]
    public void A_slot_that_no_pool_has_is_refused_whatever_follows(string slot)
    {
        var cookie = new StickyCookie("app", new StickySettings("FASTLB", null), s_key);
        Assert.False(cookie.TryRead(Encoding.ASCII.GetBytes(slot + new string('A', 43)), out _));
        Assert.True(cookie.SetLineOf(1_000_000).IsEmpty);
        Assert.False(cookie.SetLineOf(4_095).IsEmpty);
    }

    [Fact]
    public void Round_robin_gives_everybody_the_same()
    {
        var workers = Workers(7);
        var strategy = new RoundRobin();
        var random = new RandomSource(1);
        var counts = new int[7];
        for (var i = 0; i < 7_000; i++)
        {
            counts[Pick(strategy, workers, random)]++;
        }

        Assert.All(counts, c => Assert.Equal(1_000, c));
    }

    [Fact]
    public void Two_choices_is_even_and_prefers_the_less_loaded()
    {
        var workers = Workers(5);
        var strategy = new TwoChoices();
        var random = new RandomSource(1);
        var counts = new int[5];
        for (var i = 0; i < 10_000; i++)
        {
            counts[Pick(strategy, workers, random)]++;
        }

        Assert.All(counts, c => Assert.InRange(c, 1_800, 2_200));

        // The busiest one is never the less loaded of two.
        workers[2].Begin(0);
        for (var i = 0; i < 1_000; i++)
        {
            Assert.NotEqual(2, Pick(strategy, workers, random));
        }

        // What is in flight stays level when nothing ends.
        for (var i = 0; i < 5_000; i++)
        {
            workers[Pick(strategy, workers, random)].Begin(0);
        }

        Assert.InRange(workers.Max(w => w.InFlight) - workers.Min(w => w.InFlight), 0, 5);
        Assert.Equal(0, Pick(strategy, workers.AsSpan(0, 1), random));
    }

    [Fact]
    public void Retries_are_a_share_of_requests_above_a_floor()
    {
        var now = 1_000L;
        var budget = new RetryBudget(now);
        while (budget.TryWithdraw(now))
        {
        }

        Assert.False(budget.TryWithdraw(now));
        for (var i = 0; i < 50; i++)
        {
            budget.Deposit();
        }

        Assert.Equal(10, Withdraw(budget, now));

        // Ten in a second, for a service that is quiet, and no more than the cap after an hour.
        Assert.Equal(10, Withdraw(budget, now + 1_000));
        Assert.Equal(1_000, Withdraw(budget, now + 3_600_000));
    }

    private static int Withdraw(RetryBudget budget, long nowMs)
    {
        var count = 0;
        while (budget.TryWithdraw(nowMs))
        {
            count++;
        }

        return count;
    }

    private static byte[] ValueOf(StickyCookie cookie, int slot)
    {
        var line = Encoding.ASCII.GetString(cookie.SetLineOf(slot));
        return Encoding.ASCII.GetBytes(line["Set-Cookie: FASTLB=".Length..line.IndexOf(';', StringComparison.Ordinal)]);
    }

    private static int Pick(Strategy strategy, ReadOnlySpan<Worker> workers, RandomSource random) =>
        strategy.Pick(new Choice { Workers = workers, Random = random, Loop = 0, NowMs = 0 });

    private static Worker[] Workers(int count) =>
        [.. Enumerable.Range(0, count).Select(slot => new Worker("app", slot, 1, Endpoint.Ip(IPAddress.Loopback, 9_000 + slot), loops: 1))];
}
