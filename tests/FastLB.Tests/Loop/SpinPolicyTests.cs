using FastLB.Core.Loop;

namespace FastLB.Tests.Loop;

public class SpinPolicyTests
{
    [Fact]
    public void Zero_never_spins_and_a_fixed_limit_always_does()
    {
        var never = new SpinPolicy(0, isAdaptive: false);
        var always = new SpinPolicy(50, isAdaptive: false);
        for (var i = 0; i < 100; i++)
        {
            Assert.False(never.ShouldSpin);
            Assert.True(always.ShouldSpin);
            never.NotePause(1_000);
            always.NotePause(1_000_000_000);
        }

        Assert.Equal(50_000, always.LimitNs);
    }

    [Fact]
    public void An_adaptive_one_spins_while_pauses_are_short_and_stops_when_they_are_long()
    {
        var policy = new SpinPolicy(50, isAdaptive: true);
        Assert.False(policy.ShouldSpin);
        Assert.True(Until(ref policy, 10_000, spins: true) <= 16);
        Assert.True(Until(ref policy, 10_000_000, spins: false) <= 16);

        // A quiet second weighs no more than a few pauses.
        policy.NotePause(1_000_000_000);
        Assert.True(Until(ref policy, 10_000, spins: true) <= 16);
    }

    [Fact]
    public void Pauses_a_little_longer_than_the_limit_are_not_worth_spinning_for()
    {
        var policy = new SpinPolicy(50, isAdaptive: true);
        for (var i = 0; i < 1_000; i++)
        {
            policy.NotePause(60_000);
        }

        Assert.False(policy.ShouldSpin);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(SpinPolicy.MaxUs + 1)]
    public void A_limit_out_of_range_is_refused(int limitUs) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new SpinPolicy(limitUs, isAdaptive: false));

    private static int Until(ref SpinPolicy policy, long pauseNs, bool spins)
    {
        for (var count = 0; ; count++)
        {
            if (policy.ShouldSpin == spins)
            {
                return count;
            }

            Assert.True(count < 1_000, $"after 1000 pauses of {pauseNs} ns it is still the other way round");
            policy.NotePause(pauseNs);
        }
    }
}
