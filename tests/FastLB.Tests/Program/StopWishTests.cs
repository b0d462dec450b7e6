using FastLB.Commands;

namespace FastLB.Tests.Programs;

public class StopWishTests
{
    [Fact]
    public void Two_signals_in_the_same_moment_are_one_wish()
    {
        var clock = new Clock();
        var wish = new StopWish(clock);
        Assert.Equal(StopWish.Meaning.Finish, wish.Signalled());
        Assert.Equal(StopWish.Meaning.Nothing, wish.Signalled());
        clock.Milliseconds += 499;
        Assert.Equal(StopWish.Meaning.Nothing, wish.Signalled());
    }

    [Fact]
    public void A_signal_half_a_second_after_the_first_stops_at_once_and_only_once()
    {
        var clock = new Clock();
        var wish = new StopWish(clock);
        Assert.Equal(StopWish.Meaning.Finish, wish.Signalled());

        // What did not count does not put off what does.
        clock.Milliseconds += 400;
        Assert.Equal(StopWish.Meaning.Nothing, wish.Signalled());
        clock.Milliseconds += 100;
        Assert.Equal(StopWish.Meaning.StopAtOnce, wish.Signalled());
        clock.Milliseconds += 1_000;
        Assert.Equal(StopWish.Meaning.Nothing, wish.Signalled());
    }

    private sealed class Clock : TimeProvider
    {
        public long Milliseconds { get; set; }

        public override long TimestampFrequency => 1_000;

        public override long GetTimestamp() => Milliseconds;
    }
}
