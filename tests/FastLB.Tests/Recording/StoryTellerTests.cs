using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;
using FastLB.Stories;

namespace FastLB.Tests.Recording;

/// <summary>What a person reads who asks why a request failed.</summary>
public sealed class StoryTellerTests
{
    private static readonly DateTimeOffset s_began = new(2026, 11, 21, 18, 22, 22, 123, TimeSpan.Zero);

    [Fact]
    public void A_story_names_what_was_asked_who_was_tried_and_what_decided()
    {
        var failed = Failed(Outcome.WorkerTimeout, 504, DecidingLimit.ResponseTimeout, 300);
        failed.Facts.Retries = 1;
        failed.Add(Attempt("app/0", AttemptEnd.ConnectFailed, 0, 0, 200_000, error: 111));
        failed.Add(Attempt("app/1", AttemptEnd.AnswerLate, 1_000_000, 1_250_000, 301_250_000));
        Assert.Equal(
            [
                "GET /a came from 192.168.0.1:40000 to listener 127.0.0.1:8000 at 2026-11-21 18:22:22.123 UTC, and belonged to pool app.",
                "Attempt 1 was at worker app/0 (generation 2), 0 ms after the beginning: it did not accept the connection (Connection refused (error 111)), which was known after 0.2 ms.",
                "Attempt 2 was at worker app/1 (generation 2), 1 ms after the beginning: a connection was opened in 0.25 ms and the request sent; after 300 ms there was no answer.",
                "The worker did not answer, or stopped in the middle of it, for too long. What decided is timeouts.response, or pools.app.timeouts.response (300 ms).",
                "The client was answered with 504 301.25 ms after the beginning, with one retry.",
            ],
            StoryTeller.Tell(failed, s_began).Story);
    }

    [Fact]
    public void Every_ending_and_every_outcome_has_its_sentence()
    {
        foreach (var outcome in Enum.GetValues<Outcome>())
        {
            foreach (var end in Enum.GetValues<AttemptEnd>())
            {
                foreach (var sentNs in new[] { 0L, 1L })
                {
                    var failed = Failed(outcome, 0, DecidingLimit.None, 0);
                    failed.Add(Attempt("app/0", end, 0, sentNs, 5));
                    Assert.All(StoryTeller.Tell(failed, s_began).Story, sentence => Assert.Matches("^[A-Z].*[^ .]\\.$", sentence));
                }
            }
        }
    }

    [Fact]
    public void A_refused_head_names_the_limit_that_its_status_tells() =>
        Assert.Equal("limits.head or limits.headers", StoryTeller.Tell(Failed(Outcome.ClientMalformed, 431, DecidingLimit.None, 0), s_began).DecidedBy);

    [Fact]
    public void A_target_cannot_steer_the_terminal_of_who_reads_it()
    {
        var failed = Failed(Outcome.NoRoute, 404, DecidingLimit.None, 0);
        failed.KeepLine("GET /\u001b[2J\u0007é"u8);
        Assert.All(StoryTeller.Tell(failed, s_began).Story, sentence => Assert.DoesNotContain(sentence, char.IsControl));
    }

    private static FailedRequest Failed(Outcome outcome, short status, DecidingLimit limit, long value)
    {
        var failed = new FailedRequest { Pool = "app", Listener = "127.0.0.1:8000", Limit = limit, LimitValue = value };
        failed.Facts = new RecordFacts { Id = 1, Client = new ClientAddress(0xC0A80001, 40_000), Outcome = outcome, Status = status, TotalNs = 301_250_000 };
        failed.KeepLine("GET /a"u8);
        return failed;
    }

    private static FailedAttempt Attempt(string worker, AttemptEnd end, long beganNs, long sentNs, long endedNs, int error = 0) =>
        new() { Worker = worker, Generation = 2, End = end, BeganNs = beganNs, SentNs = sentNs, EndedNs = endedNs, Error = error };
}
