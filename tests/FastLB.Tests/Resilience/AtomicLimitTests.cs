using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class AtomicLimitTests
{
    [Fact]
    public void As_many_enter_as_the_limit_says_and_one_more_for_each_that_leaves()
    {
        var limit = new AtomicLimit(3);
        Assert.True(limit.TryEnter() && limit.TryEnter() && limit.TryEnter());
        Assert.False(limit.TryEnter());
        limit.Exit();
        Assert.True(limit.TryEnter());
        Assert.False(limit.TryEnter());
        Assert.Equal((3, 3), (limit.Limit, limit.InUse));
    }

    [Fact]
    public void A_lowered_limit_lets_nobody_in_until_enough_have_left()
    {
        var limit = new AtomicLimit(3);
        Assert.True(limit.TryEnter() && limit.TryEnter() && limit.TryEnter());
        limit.Limit = 1;
        limit.Exit();
        limit.Exit();
        Assert.False(limit.TryEnter());
        limit.Exit();
        Assert.True(limit.TryEnter());
        limit.Limit = int.MaxValue;
        Assert.True(limit.TryEnter());
        Assert.Equal(2, limit.InUse);
        Assert.False(new AtomicLimit(0).TryEnter());
    }

    [Fact]
    public void Who_leaves_without_having_entered_violates_an_invariant() =>
        Assert.Throws<InvariantViolatedException>(() => new AtomicLimit(1).Exit());

    [Fact]
    public void It_counts_as_a_number_would() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var limit = new AtomicLimit(chance.Next(4));
        var inUse = 0;
        for (var i = 0; i < 200; i++)
        {
            switch (chance.Next(7))
            {
                case < 3:
                    var expected = inUse < limit.Limit;
                    Assert.Equal(expected, limit.TryEnter());
                    inUse += expected ? 1 : 0;
                    break;
                case < 6 when inUse > 0:
                    limit.Exit();
                    inUse--;
                    break;
                case 6:
                    limit.Limit = chance.Next(5);
                    break;
                default:
                    break;
            }

            Assert.Equal(inUse, limit.InUse);
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void What_many_threads_do_at_once_could_have_happened_one_after_the_other() =>
        History.Check(rounds: 8_000, threads: 3, steps: 5, _ => new LimitSubject());

    [Fact]
    public void Four_threads_are_never_inside_more_than_the_limit_allows()
    {
        const int Limit = 2;
        var limit = new AtomicLimit(Limit);
        int inside = 0, most = 0, entered = 0;
        AtOnce.Run(threads: 4, _ =>
        {
            for (var i = 0; i < 100_000; i++)
            {
                if (!limit.TryEnter())
                {
                    continue;
                }

                Interlocked.Increment(ref entered);
                var now = Interlocked.Increment(ref inside);
                if (now > Volatile.Read(ref most))
                {
                    Volatile.Write(ref most, now);
                }

                Interlocked.Decrement(ref inside);
                limit.Exit();
            }
        });
        Assert.InRange(most, 1, Limit);
        Assert.True(entered > 0);
        Assert.Equal(0, limit.InUse);
    }

    private sealed record State(int Limit, int InUse);

    private sealed class LimitSubject : Subject<State>
    {
        private readonly AtomicLimit _limit = new(2);
        private readonly int[] _inside = new int[3];

        public override State Initial => new(2, 0);

        public override Func<State, State?> Act(int thread, RandomSource chance)
        {
            switch (chance.Next(8))
            {
                case < 4:
                    var entered = _limit.TryEnter();
                    _inside[thread] += entered ? 1 : 0;
                    return state => entered == state.InUse < state.Limit ? state with { InUse = state.InUse + (entered ? 1 : 0) } : null;
                case < 6 when _inside[thread] > 0:
                    _inside[thread]--;
                    _limit.Exit();
                    return state => state with { InUse = state.InUse - 1 };
                case 6:
                    var wish = chance.Next(4);
                    _limit.Limit = wish;
                    return state => state with { Limit = wish };
                default:
                    var inUse = _limit.InUse;
                    return state => inUse == state.InUse ? state : null;
            }
        }

        public override void AfterRound() => Assert.Equal(_inside.Sum(), _limit.InUse);
    }
}
