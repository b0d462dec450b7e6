namespace FastLB.Core.Recording;

/// <summary>
/// The last requests of one loop that failed or were tried again, a bounded number of them. Objects serve again: what is added takes the oldest one's, which is
/// what the next story is written into. Only the loop's thread comes here; who wants to read posts work to it.
/// </summary>
public sealed class RecentFailures(int capacity)
{
    private readonly FailedRequest?[] _places = new FailedRequest?[capacity];
    private FailedRequest? _spare;
    private long _added;

    /// <summary>An empty story; it comes back by <see cref="Add"/>.</summary>
    internal FailedRequest Rent()
    {
        var story = _spare ?? new FailedRequest();
        _spare = null;
        story.Clear();
        return story;
    }

    internal void Add(FailedRequest story)
    {
        ref var place = ref _places[_added++ % _places.Length];
        _spare = place;
        place = story;
    }

    /// <summary>A copy of the request with this id; null when it is not here, or not any more.</summary>
    public FailedRequest? Find(ulong id) => Array.Find(_places, p => p?.Facts.Id == id)?.Copy();

    /// <summary>A copy of the newest that was called so (X-Request-Id); null when none is remembered.</summary>
    public FailedRequest? FindCalled(byte[] requestId) =>
        _places.Where(p => p is not null && p.RequestId.SequenceEqual(requestId)).MaxBy(p => p!.Facts.BeganNs)?.Copy();

    /// <summary>Copies of the last ones, the newest first.</summary>
    public IReadOnlyList<FailedRequest> Latest(int count)
    {
        var latest = new List<FailedRequest>();
        for (var i = _added - 1; i >= 0 && i >= _added - _places.Length && latest.Count < count; i--)
        {
            latest.Add(_places[i % _places.Length]!.Copy());
        }

        return latest;
    }
}
