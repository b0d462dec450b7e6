namespace FastLB.Stories;

// What GET /requests and GET /requests/{id} answer, and what `fastlb explain` prints. Names are those of the JSON.

/// <summary>One request that failed, or was tried more than once.</summary>
/// <param name="Id">As in its answer's header and in the access log: the X-Request-Id where requests have one.</param>
/// <param name="Time">When its head was complete.</param>
/// <param name="Request">Method and target; empty when the head was refused before it was understood.</param>
/// <param name="Status">What the client was answered with; 0: nothing.</param>
/// <param name="Outcome">As in the metrics.</param>
/// <param name="DecidedBy">The key of the configuration that governs the limit that was reached, or null.</param>
/// <param name="Story">What happened, in sentences.</param>
public sealed record RequestStory(
    string Id,
    DateTimeOffset Time,
    string Client,
    string Listener,
    string Request,
    string? Pool,
    int Status,
    string Outcome,
    double TotalMs,
    string? DecidedBy,
    IReadOnlyList<AttemptStory> Attempts,
    IReadOnlyList<string> Story);

/// <param name="Worker"><c>pool/slot</c>.</param>
/// <param name="Generation">0 for a worker that FastLB only reaches.</param>
/// <param name="End">What became of it, in words.</param>
/// <param name="ConnectMs">Until the connection stood; null when it never did, 0 when it was there already.</param>
/// <param name="AnswerMs">From sending the request until the attempt's end; null when nothing was sent.</param>
public sealed record AttemptStory(string Worker, int Generation, string End, double? ConnectMs, double? AnswerMs);

/// <summary>Who remembers requests that failed. Any thread.</summary>
public interface IRequestStories
{
    /// <summary>The request with this id, FastLB's own or what it is called by X-Request-Id; null when it did not fail, or so many have since that it is forgotten.</summary>
    RequestStory? Find(string id);

    /// <summary>The latest, the newest first.</summary>
    IReadOnlyList<RequestStory> Latest(int count);
}
