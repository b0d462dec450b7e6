using FastLB.Core.Balancing;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Balancing;

/// <summary>The estimate of response times, and what is chosen by it.</summary>
public sealed class ResponseTimeTests
{
    private const long Millisecond = 1_000_000;

    [Fact]
    public void A_longer_time_counts_at_once_and_shorter_ones_pull_it_down_with_tau()
    {
        var estimate = PeakEwma.Never.After(10e6, 0).After(100e6, 1);
        Assert.Equal(100e6, estimate.At(1));
        estimate = estimate.After(10e6, 1 + PeakEwma.TauMs);
        Assert.Equal(10e6 + (90e6 / Math.E), estimate.Nanoseconds, tolerance: 1);
        Assert.Equal(estimate.Nanoseconds / Math.E, estimate.At(1 + (2 * PeakEwma.TauMs)), tolerance: 1);
    }

    [Fact]
    public void An_estimate_that_is_too_old_is_as_good_as_none()
    {
        var estimate = PeakEwma.Never.After(10e6, 7);
        Assert.Equal(0, PeakEwma.Never.At(0));
        Assert.Equal(0, PeakEwma.Never.At(long.MaxValue));
        Assert.True(estimate.At(7 + PeakEwma.ForgottenAfterMs - 1) > 0);
        Assert.Equal(0, estimate.At(7 + PeakEwma.ForgottenAfterMs));
        Assert.Equal(2e6, estimate.After(2e6, 7 + PeakEwma.ForgottenAfterMs).Nanoseconds);
        Assert.True(PeakEwma.Never.After(0, 7).At(7) > 0, "what took no time at all is measured all the same");
    }

    [Fact]
    public void The_tables_are_the_exponential_function() => Prop.ForAll(Gen.Choose(0, PeakEwma.ForgottenAfterMs - 1).ToArbitrary(), age =>
        Assert.Equal(1e9 * Math.Exp(-(double)age / PeakEwma.TauMs), PeakEwma.Never.After(1e9, 5).At(5 + age), tolerance: 1e-3)).QuickCheckThrowOnFailure();

    [Fact]
    public void An_estimate_lies_between_the_least_and_the_greatest_of_its_times_and_never_below_the_last() =>
        Prop.ForAll(Gen.Choose(1, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new System.Random(seed);
            var (estimate, now) = (PeakEwma.Never, 0L);
            double least = double.MaxValue, greatest = 0;
            for (var i = 0; i < 50; i++)
            {
                now += random.Next(3_000);
                var sample = random.Next(1, 1_000_000_000);
                (least, greatest) = (Math.Min(least, sample), Math.Max(greatest, sample));
                estimate = estimate.After(sample, now);
                Assert.InRange(estimate.At(now), Math.Max(least, sample), greatest);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void One_failure_doubles_an_estimate_and_a_row_of_them_makes_it_the_greatest()
    {
        var estimate = PeakEwma.Never.After(10e6, 0).AfterFailure(100, 0);
        Assert.Equal(20e6, estimate.At(0));
        for (var i = 0; i < 12; i++)
        {
            estimate = estimate.AfterFailure(100, 0);
        }

        Assert.Equal(PeakEwma.MostFailureNanoseconds, estimate.At(0));
        Assert.Equal(30e9, estimate.AfterFailure(30e9, 0).At(0));
        Assert.Equal(PeakEwma.LeastFailureNanoseconds, PeakEwma.Never.AfterFailure(0, 0).At(0));
    }

    [Fact]
    public void The_faster_worker_is_chosen_until_it_has_as_much_to_do()
    {
        var workers = OneLoop.Workers(1, 1);
        Answer(workers[0], 10 * Millisecond);
        Answer(workers[1], 35 * Millisecond);
        var (loop, strategy) = (new OneLoop(), new ResponseTime());
        loop.Hold(strategy, workers, 3);
        Assert.Equal((3, 0), (workers[0].InFlight, workers[1].InFlight));
        loop.Hold(strategy, workers, 1);
        Assert.Equal((3, 1), (workers[0].InFlight, workers[1].InFlight));
    }

    [Fact]
    public void A_worker_that_fails_fast_gets_less_and_one_that_does_not_fail_does_not()
    {
        foreach (var (fails, isLessUsed) in ((bool, bool)[])[(true, true), (false, false)])
        {
            var workers = OneLoop.Workers(1, 1, 1);
            var (loop, strategy) = (new OneLoop(), new ResponseTime());
            for (var i = 0; i < 3_000; i++)
            {
                loop.NowMs++;
                var worker = loop.Pick(strategy, workers);
                worker.Begin(0);
                worker.NoteAnswer(0, loop.NowMs, worker.Slot == 2 ? Millisecond / 10 : 5 * Millisecond, isServerError: fails && worker.Slot == 2);
                worker.End(0, failed: false);
            }

            Assert.Equal(isLessUsed, workers[2].Requests < 300);
        }
    }

    [Fact]
    public void Attempts_without_an_answer_count_as_slow()
    {
        var workers = OneLoop.Workers(1, 1);
        var (loop, strategy) = (new OneLoop(), new ResponseTime());
        Answer(workers[0], Millisecond);
        Answer(workers[1], 2 * Millisecond);
        Assert.Equal(0, loop.PickIndex(strategy, workers));
        workers[0].NoteFailure(0, loop.NowMs);
        workers[0].NoteFailure(0, loop.NowMs);
        Assert.Equal(1, loop.PickIndex(strategy, workers));
    }

    [Fact]
    public void A_new_worker_is_measured_first_but_not_herded()
    {
        var workers = OneLoop.Workers(1, 1, 1, 1);
        Array.ForEach(workers[..3], w => Answer(w, Millisecond));
        var (loop, strategy) = (new OneLoop(), new ResponseTime());

        // Of all pairs with the new one it is chosen, while it is idle: two of four drawn are half of the choices.
        Assert.InRange(loop.CountIdle(strategy, workers, 1_000)[3], 400, 600);
        loop.Hold(strategy, workers, 400);
        Assert.InRange(workers[3].InFlight, 60, 140);
    }

    [Fact]
    public void A_slow_worker_is_tried_again_when_nothing_was_heard_of_it_for_a_while()
    {
        var workers = OneLoop.Workers(1, 1);
        Answer(workers[1], 1_000 * Millisecond);
        var (loop, strategy) = (new OneLoop(), new ResponseTime());
        var triedAfter = 0L;
        for (; workers[1].Requests == 0 && triedAfter < 70_000; triedAfter += 100)
        {
            loop.NowMs = 1_000 + triedAfter;
            workers[0].NoteAnswer(0, loop.NowMs, 10 * Millisecond, isServerError: false);
            loop.Pick(strategy, workers).Begin(0);
            if (workers[0].InFlight > 0)
            {
                workers[0].End(0, failed: false);
            }
        }

        // 1,000 ms have become 10 ms after tau times the logarithm of 100.
        Assert.InRange(triedAfter, 45_000, 47_000);
    }

    private static void Answer(Worker worker, long nanoseconds) => worker.NoteAnswer(0, 1_000, nanoseconds, isServerError: false);
}
