using System.Globalization;
using System.Text;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;
using FastLB.Linux;

namespace FastLB.Stories;

/// <summary>Makes sentences of what a loop remembers of a request.</summary>
internal static class StoryTeller
{
    private const double NsPerMs = 1e6;

    /// <param name="failed">The request.</param>
    /// <param name="began">When it began, by the wall's clock.</param>
    public static RequestStory Tell(FailedRequest failed, DateTimeOffset began)
    {
        var facts = failed.Facts;
        var key = KeyOf(failed);
        return new RequestStory(
            failed.RequestId.IsEmpty ? facts.Id.ToString("x16", CultureInfo.InvariantCulture) : Printable(failed.RequestId),
            began,
            facts.Client.ToString(),
            failed.Listener,
            Printable(failed.Line),
            failed.Pool,
            facts.Status,
            Outcomes.NameOf(facts.Outcome),
            Math.Round(facts.TotalNs / NsPerMs, 3),
            key,
            [.. failed.Attempts.ToArray().Select(Attempt)],
            [.. Sentences(failed, began, key)]);
    }

    private static IEnumerable<string> Sentences(FailedRequest failed, DateTimeOffset began, string? key)
    {
        var facts = failed.Facts;
        var time = began.ToString("yyyy-MM-dd HH:mm:ss.fff 'UTC'", CultureInfo.InvariantCulture);
        var what = failed.Line.IsEmpty ? "A request whose head was not understood" : Printable(failed.Line);
        yield return $"{what} came from {facts.Client} to listener {failed.Listener} at {time}{Destination(failed)}.";
        var number = 0;
        foreach (var attempt in failed.Attempts.ToArray())
        {
            number++;
            var where = attempt.Generation > 0 ? $"{attempt.Worker} (generation {attempt.Generation})" : attempt.Worker;
            yield return $"Attempt {number} was at worker {where}, {Ms(attempt.BeganNs - facts.BeganNs)} after the beginning: {Ending(attempt)}.";
        }

        if (failed.AttemptCount > number)
        {
            yield return $"{failed.AttemptCount - number} more attempts followed.";
        }

        if (number == 0 && failed.Pool is not null && failed.Facts.Outcome is not (Outcome.ClientMalformed or Outcome.RateLimited))
        {
            yield return "No worker was tried.";
        }

        yield return $"{Reason(facts.Outcome)}{(key is null ? "" : $" What decided is {key}{LimitText(failed)}.")}";
        yield return $"{Answered(facts)} {Ms(facts.TotalNs)} after the beginning{(facts.Retries > 0 ? $", with {Times(facts.Retries, "retry", "retries")}" : "")}.";
    }

    private static string Destination(FailedRequest failed) => (failed.Pool, failed.FallbackFor) switch
    {
        (null, _) => ", and belonged to no pool",
        ({ } pool, { } instead) => $", and belonged to pool {instead}, for which pool {pool} stood in",
        ({ } pool, null) => $", and belonged to pool {pool}",
    };

    private static AttemptStory Attempt(FailedAttempt attempt) => new(
        attempt.Worker,
        attempt.Generation,
        Word(attempt.End),
        attempt.SentNs == 0 ? null : Math.Round((attempt.SentNs - attempt.BeganNs) / NsPerMs, 3),
        attempt.SentNs == 0 ? null : Math.Round((attempt.EndedNs - attempt.SentNs) / NsPerMs, 3));

    private static string Word(AttemptEnd end) => end switch
    {
        AttemptEnd.LastOne => "answered",
        AttemptEnd.ConnectFailed => "connect-failed",
        AttemptEnd.ConnectTimedOut => "connect-timeout",
        AttemptEnd.StaleConnection => "stale-connection",
        AttemptEnd.ClosedUnanswered => "closed-unanswered",
        AttemptEnd.AnswerBrokeOff => "answer-broke-off",
        AttemptEnd.AnswerMalformed => "answer-malformed",
        AttemptEnd.AnswerLate => "answer-late",
        AttemptEnd.StatusRetried => "status-retried",
        _ => "given-up",
    };

    private static string Ending(FailedAttempt attempt)
    {
        var error = attempt.Error > 0 ? $" ({SystemError.Describe(attempt.Error)})" : "";
        if (attempt.SentNs == 0)
        {
            var waited = Ms(attempt.EndedNs - attempt.BeganNs);
            return attempt.End switch
            {
                AttemptEnd.ConnectFailed => $"it did not accept the connection{error}, which was known after {waited}",
                AttemptEnd.ConnectTimedOut => $"it had not accepted the connection after {waited}",
                _ => $"the request ended after {waited}, before there was a connection",
            };
        }

        var connection = attempt.Reused ? "an idle connection was used" : $"a connection was opened in {Ms(attempt.SentNs - attempt.BeganNs)}";
        var after = Ms(attempt.EndedNs - attempt.SentNs);
        return $"{connection} and the request sent; " + attempt.End switch
        {
            AttemptEnd.LastOne => $"it answered with {attempt.Status}, and all of that was here after {after}",
            AttemptEnd.StaleConnection => $"after {after} it turned out that the worker had let the connection go{error}",
            AttemptEnd.ClosedUnanswered => $"after {after} the worker closed the connection without an answer{error}",
            AttemptEnd.AnswerBrokeOff when attempt.Status == 0 => $"after {after} the worker closed the connection in the middle of its answer's head{error}",
            AttemptEnd.AnswerBrokeOff => $"it answered with {attempt.Status}, but broke off after {after}{error}",
            AttemptEnd.AnswerMalformed => $"after {after} its answer turned out to be malformed",
            AttemptEnd.AnswerLate when attempt.Status == 0 => $"after {after} there was no answer",
            AttemptEnd.AnswerLate => $"it answered with {attempt.Status}, and was silent in the middle of it for too long; that was after {after}",
            AttemptEnd.StatusRetried => $"it answered with {attempt.Status} after {after}, which is configured to be tried again",
            _ => $"the request was given up after {after}",
        };
    }

    private static string Reason(Outcome outcome) => outcome switch
    {
        Outcome.Completed => "In the end it was answered in full.",
        Outcome.AnsweredHere => "Its route answered it without a worker.",
        Outcome.ClientMalformed => "The client's bytes broke the rules of HTTP or a limit.",
        Outcome.ClientTimeout => "The client did not send what it had begun, or did not take its answer, in time.",
        Outcome.ClientAborted => "The client left before its answer was complete.",
        Outcome.NoRoute => "No route of the listener matched host and path.",
        Outcome.NoWorker => "No worker took the request in time.",
        Outcome.QueueFull => "Too many requests waited for a worker already.",
        Outcome.BreakerOpen => "The breakers of the pool or of all its workers were open.",
        Outcome.RateLimited => "Its client, or whoever shares its key, asked too often.",
        Outcome.ConnectionLimit => "Its connection was one more than the listener, or its client, may have.",
        Outcome.OutOfMemory => "FastLB had no buffer left.",
        Outcome.ConnectFailed => "No worker accepted the connection.",
        Outcome.ConnectTimeout => "No worker accepted the connection in time.",
        Outcome.WorkerClosed => "The worker closed the connection without an answer.",
        Outcome.WorkerMalformed => "The worker's answer was malformed.",
        Outcome.WorkerTimeout => "The worker did not answer, or stopped in the middle of it, for too long.",
        Outcome.WorkerTruncated => "The worker's answer broke off after it had begun.",
        Outcome.DrainDeadline => "FastLB stopped, and the time for what still ran was over.",
        _ => "",
    };

    private static string Answered(in RecordFacts facts) => facts switch
    {
        { Outcome: Outcome.Completed } => $"The client had the whole answer ({facts.Status})",
        { Status: 0 } => "The client's connection was closed without an answer",
        { Outcome: Outcome.ClientAborted or Outcome.WorkerTruncated or Outcome.DrainDeadline } => $"The client's connection was cut in the middle of the answer ({facts.Status})",
        _ => $"The client was answered with {facts.Status}",
    };

    /// <summary>The key of the configuration behind the limit that was reached.</summary>
    private static string? KeyOf(FailedRequest failed)
    {
        var pool = $"pools.{failed.Pool}";
        return failed.Limit switch
        {
            DecidingLimit.HeadTimeout => "timeouts.head",
            DecidingLimit.BodyTimeout => "timeouts.body",
            DecidingLimit.QueueTimeout => $"timeouts.queue, or {pool}.timeouts.queue",
            DecidingLimit.QueueLength => $"{pool}.queue.length",
            DecidingLimit.ConnectTimeout => $"timeouts.connect, or {pool}.timeouts.connect",
            DecidingLimit.ResponseTimeout => $"timeouts.response, or {pool}.timeouts.response",
            DecidingLimit.TunnelTimeout => $"timeouts.tunnelLifetime, or {pool}.timeouts.tunnelLifetime",
            DecidingLimit.DrainTimeout => "timeouts.drain",
            DecidingLimit.RateLimit => $"{pool}.rateLimits",
            DecidingLimit.Breaker => $"{pool}.breaker or {pool}.poolBreaker",
            _ => failed.Facts.Outcome == Outcome.ClientMalformed ? LimitOfStatus(failed.Facts.Status) : null,
        };
    }

    private static string? LimitOfStatus(int status) => status switch
    {
        413 => "limits.body",
        414 => "limits.target",
        431 => "limits.head or limits.headers",
        _ => null,
    };

    private static string LimitText(FailedRequest failed) => failed switch
    {
        { LimitValue: <= 0 } => "",
        { Limit: DecidingLimit.QueueLength } => $" ({failed.LimitValue})",
        _ => $" ({failed.LimitValue} ms)",
    };

    private static string Ms(long nanoseconds) => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / NsPerMs:0.###} ms");

    private static string Times(int count, string one, string many) => count == 1 ? $"one {one}" : $"{count} {many}";

    /// <summary>A client's bytes, with nothing in them that a terminal would obey.</summary>
    private static string Printable(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (var one in bytes)
        {
            text.Append(one is >= 0x20 and < 0x7F ? (char)one : '\ufffd');
        }

        return bytes.Length < FailedRequest.MaxLineBytes ? text.ToString() : text.Append('…').ToString();
    }
}
