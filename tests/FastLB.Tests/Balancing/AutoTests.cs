using FastLB.Core.Balancing;

namespace FastLB.Tests.Balancing;

/// <summary>The strategy that chooses the strategy: by what, how slowly, and what it says.</summary>
public sealed class AutoTests
{
    private readonly OneLoop _loop = new();
    private readonly Auto _auto = new();

    [Fact]
    public void Answers_that_are_apart_lead_to_response_time_after_three_looks_and_back_when_they_are_alike()
    {
        var workers = OneLoop.Workers(1, 1, 1);
        LookAfter(workers, 5, 5, 5);
        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
        LookAfter(workers, 11, 120, 30);
        LookAfter(workers, 11, 120, 30);
        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
        LookAfter(workers, 11, 120, 30);
        Assert.Equal("response-time: the slowest worker answers in 120 ms, the fastest in 11 ms", _auto.Reason);

        // Half as far apart is not gone; alike is, after three looks.
        for (var look = 0; look < 5; look++)
        {
            LookAfter(workers, 10, 20, 12);
        }

        Assert.StartsWith("response-time: ", _auto.Reason, StringComparison.Ordinal);
        LookAfter(workers, 10, 11, 12);
        LookAfter(workers, 10, 11, 12);
        Assert.StartsWith("response-time: ", _auto.Reason, StringComparison.Ordinal);
        LookAfter(workers, 10, 11, 12);
        Assert.Equal("two-choices: the workers answer alike, with 0 requests per worker in flight", _auto.Reason);
    }

    [Fact]
    public void The_same_distance_from_below_changes_nothing()
    {
        var workers = OneLoop.Workers(1, 1);
        for (var look = 0; look < 10; look++)
        {
            LookAfter(workers, 10, 20);
        }

        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Differences_of_less_than_a_millisecond_and_a_few_answers_prove_nothing()
    {
        var workers = OneLoop.Workers(1, 1);
        for (var look = 0; look < 10; look++)
        {
            LookAfter(workers, 0.1, 0.9);
        }

        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
        var others = OneLoop.Workers(1, 1);
        Look(others);
        Answer(9);
        Looks(others, 10);
        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);

        // The tenth answer makes a mean.
        Answer(1);
        Looks(others, 3);
        Assert.StartsWith("response-time: ", _auto.Reason, StringComparison.Ordinal);

        void Answer(int times)
        {
            for (var i = 0; i < times; i++)
            {
                others[0].NoteAnswer(0, 0, 1_000_000, isServerError: false);
                others[1].NoteAnswer(0, 0, 900_000_000, isServerError: false);
            }
        }
    }

    [Fact]
    public void One_look_that_says_otherwise_begins_the_count_anew()
    {
        var workers = OneLoop.Workers(1, 1);
        for (var look = 0; look < 12; look++)
        {
            LookAfter(workers, 10, look % 3 == 0 ? 10 : 100);
        }

        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Unequal_weights_and_little_in_flight_lead_to_turns_by_weight()
    {
        var workers = OneLoop.Workers(1, 4);
        Looks(workers, 4);
        Assert.StartsWith("weighted-round-robin: weights reach from 1 to 4, and 0 requests", _auto.Reason, StringComparison.Ordinal);
        Assert.Equal([20, 80], _loop.CountIdle(_auto, workers, 100));

        Begin(workers, 3);
        Looks(workers, 4);
        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Much_in_flight_at_few_workers_leads_to_least_connections_and_at_many_it_does_not()
    {
        var workers = OneLoop.Workers(1, 1, 1);
        Begin(workers, 9);
        Looks(workers, 4);
        Assert.Equal("least-connections: each of 3 workers has 9 requests in flight", _auto.Reason);
        End(workers, 4);
        Looks(workers, 4);
        Assert.StartsWith("least-connections: ", _auto.Reason, StringComparison.Ordinal);
        End(workers, 2);
        Looks(workers, 4);
        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);

        var many = OneLoop.Workers([.. Enumerable.Repeat(1, 33)]);
        Begin(many, 9);
        Looks(many, 4);
        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Looks_are_a_second_apart_however_many_requests_there_are()
    {
        var workers = OneLoop.Workers(1, 4);
        Looks(workers, 1);
        _loop.CountIdle(_auto, workers, 1_000);
        _loop.NowMs += Auto.LookEveryMs - 1;
        _loop.CountIdle(_auto, workers, 1_000);
        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_worker_that_comes_or_goes_leaves_what_is_known_of_the_others()
    {
        var workers = OneLoop.Workers(1, 1, 1);
        LookAfter(workers, 5, 5, 5);
        LookAfter(workers, 10, 100, 10);
        Look([workers[1], workers[2]]);
        Look([OneLoop.Worker(5), workers[2], workers[1]]);
        Assert.Equal("response-time: the slowest worker answers in 100 ms, the fastest in 10 ms", _auto.Reason);
    }

    [Fact]
    public void What_is_known_of_a_worker_that_left_is_not_taken_for_anothers()
    {
        var workers = OneLoop.Workers(1, 1, 1);
        LookAfter(workers, 5, 5, 5);
        LookAfter(workers, 10, 100, 10);
        Looks([workers[0], workers[2]], 5);
        Assert.StartsWith("two-choices: ", _auto.Reason, StringComparison.Ordinal);
    }

    /// <summary>Twenty answers of each worker and a look.</summary>
    private void LookAfter(Worker[] workers, params double[] milliseconds)
    {
        foreach (var (worker, answer) in workers.Zip(milliseconds))
        {
            for (var i = 0; i < 20; i++)
            {
                worker.NoteAnswer(0, _loop.NowMs, (long)(answer * 1e6), isServerError: false);
            }
        }

        Look(workers);
    }

    private void Looks(Worker[] workers, int count)
    {
        for (var look = 0; look < count; look++)
        {
            Look(workers);
        }
    }

    private void Look(Worker[] workers)
    {
        _loop.Pick(_auto, workers);
        _loop.NowMs += Auto.LookEveryMs;
    }

    private static void Begin(Worker[] workers, int requests) => Each(workers, requests, w => w.Begin(0));

    private static void End(Worker[] workers, int requests) => Each(workers, requests, w => w.End(0, failed: false));

    private static void Each(Worker[] workers, int times, Action<Worker> action)
    {
        for (var i = 0; i < times; i++)
        {
            Array.ForEach(workers, action);
        }
    }
}
