using FastLB.Core.Loop;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Loop;

/// <summary>The wheel does what a sorted list of deadlines would do.</summary>
public class TimerWheelTests
{
    [Fact]
    public void Whatever_is_armed_rearmed_and_cancelled_is_called_as_a_sorted_list_would_have_it()
    {
        Prop.ForAll<ulong>(seed =>
        {
            var chance = new RandomSource(seed);
            var start = chance.Next(3) switch { 0 => 0L, 1 => chance.Next(100_000), _ => (long)chance.NextUInt64() & 0xFF_FFFF_FFFF };
            var world = new Model(start);
            for (var i = 0; i < 400; i++)
            {
                world.Step(chance);
            }

            world.Finish();
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_timer_armed_in_a_callback_for_the_same_moment_comes_in_the_next_millisecond_and_not_in_this_one()
    {
        var wheel = new TimerWheel(100);
        List<string> called = [];
        var second = new Called(() => called.Add("second"));
        var first = new Called(() =>
        {
            called.Add("first");
            wheel.Arm(second, 110);
        });
        wheel.Arm(first, 110);
        wheel.Advance(110);
        Assert.Equal(["first"], called);
        wheel.Advance(111);
        Assert.Equal(["first", "second"], called);
    }

    [Fact]
    public void A_timer_that_rearms_itself_does_not_hold_up_a_jump_of_the_clock_for_ever()
    {
        var wheel = new TimerWheel(0);
        var calls = 0;
        Called again = null!;
        again = new Called(() =>
        {
            calls++;
            wheel.Arm(again, 20_000);
        });
        wheel.Arm(again, 10);
        wheel.Advance(20_000);
        Assert.Equal(2, calls);
        Assert.True(again.IsTimerArmed);
    }

    [Fact]
    public void A_deadline_beyond_the_wheels_span_is_kept()
    {
        var wheel = new TimerWheel(0);
        var calls = 0;
        var deadline = 100L * 24 * 3_600 * 1_000;
        wheel.Arm(new Called(() => calls++), deadline);
        wheel.Advance(deadline - 1);
        Assert.Equal(0, calls);
        wheel.Advance(deadline);
        Assert.Equal(1, calls);
    }

    [Fact]
    public void Cancelling_in_a_callback_stops_one_that_is_due_at_the_same_moment()
    {
        var wheel = new TimerWheel(0);
        List<int> called = [];
        Called one = null!;
        Called other = null!;
        one = new Called(() => { called.Add(1); wheel.Cancel(other); });
        other = new Called(() => { called.Add(2); wheel.Cancel(one); });
        wheel.Arm(one, 5);
        wheel.Arm(other, 5);
        wheel.Advance(1_000);
        Assert.Single(called);
        Assert.Equal(0, wheel.Count);
    }

    private sealed class Called(Action action) : LoopTimer
    {
        public override void OnTimer() => action();
    }

    /// <summary>A wheel, and beside it the deadlines as anybody would keep them.</summary>
    private sealed class Model
    {
        private readonly List<Called> _timers = [];
        private readonly Dictionary<Called, long> _deadlines = [];
        private long _now;
        private long _lastCalled;

        internal Model(long start)
        {
            Wheel = new TimerWheel(start);
            _now = start;
            for (var i = 0; i < 20; i++)
            {
                Called timer = null!;
                timer = new Called(() => OnCalled(timer));
                _timers.Add(timer);
            }
        }

        internal TimerWheel Wheel { get; }

        private RandomSource Chance { get; } = new(5);

        internal void Step(RandomSource chance)
        {
            var timer = _timers[chance.Next(_timers.Count)];
            switch (chance.Next(4))
            {
                case 0:
                    Cancel(timer);
                    break;
                case 1:
                    Advance(_now + Distance(chance) / 4);
                    break;
                default:
                    Arm(timer, _now + Distance(chance));
                    break;
            }

            foreach (var known in _timers)
            {
                Assert.Equal(_deadlines.ContainsKey(known), known.IsTimerArmed);
            }

            var next = Wheel.MillisecondsToNext(_now);
            Assert.Equal(_deadlines.Count == 0, next < 0);
            if (_deadlines.Count > 0)
            {
                Assert.True(_now + next <= Math.Max(_now + 1, _deadlines.Values.Min()), "the wheel sleeps past a deadline");
            }
        }

        internal void Advance(long now)
        {
            _now = now;
            _lastCalled = 0;
            Wheel.Advance(now);
            Assert.DoesNotContain(_deadlines, d => d.Value <= now);
        }

        /// <summary>Until nothing is armed any more: what callbacks arm becomes less and less.</summary>
        internal void Finish()
        {
            while (_deadlines.Count > 0)
            {
                Advance(_deadlines.Values.Max());
            }

            Assert.Equal(0, Wheel.Count);
        }

        private static long Distance(RandomSource chance) => chance.Next(5) switch
        {
            0 => chance.Next(3),
            1 => chance.Next(64),
            2 => chance.Next(5_000),
            3 => chance.Next(1 << 24),
            _ => chance.Next(1 << 30) * 8L,
        };

        private void OnCalled(Called timer)
        {
            Assert.True(_deadlines.Remove(timer, out var deadline), "a timer that is not armed is called");
            Assert.True(deadline <= _now, "a timer is called before its deadline");
            Assert.True(deadline >= _lastCalled, "timers are called out of order");
            _lastCalled = deadline;
            if (Chance.Next(4) == 0)
            {
                // Later than now, so that the order of this round stays that of the list.
                Arm(_timers[Chance.Next(_timers.Count)], _now + 1 + Chance.Next(200));
            }
            else if (Chance.Next(4) == 0)
            {
                Cancel(_timers[Chance.Next(_timers.Count)]);
            }
        }

        private void Arm(Called timer, long deadline)
        {
            Wheel.Arm(timer, deadline);

            // What is due already comes with the next millisecond.
            _deadlines[timer] = Math.Max(deadline, _now + 1);
        }

        private void Cancel(Called timer)
        {
            Wheel.Cancel(timer);
            _deadlines.Remove(timer);
        }
    }
}
