namespace FastLB.Health;

/// <summary>Something that happened to a pool or one of its workers and that an operator will want to know of.</summary>
/// <param name="Worker"><c>pool/slot</c>, or null when the pool as a whole is meant.</param>
public sealed record PoolEvent(DateTimeOffset At, string Pool, string? Worker, string Text);

/// <summary>The last events, for the status page; the log has them all. Bounded. Any thread.</summary>
internal sealed class PoolEvents
{
    public const int Kept = 200;

    private readonly Queue<PoolEvent> _events = new(Kept);
    private readonly Lock _lock = new();

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<PoolEvent> Latest
    {
        get
        {
            lock (_lock)
            {
                return [.. _events];
            }
        }
    }

    public void Add(PoolEvent occurrence)
    {
        lock (_lock)
        {
            if (_events.Count == Kept)
            {
                _events.Dequeue();
            }

            _events.Enqueue(occurrence);
        }
    }
}
