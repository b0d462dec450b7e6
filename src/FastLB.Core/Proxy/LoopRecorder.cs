using FastLB.Core.Loop;
using FastLB.Core.Recording;

namespace FastLB.Core.Proxy;

/// <summary>
/// Where one loop writes down what became of its requests: a ring to the access log's writer, when there is one, and the last failures for who asks. Only
/// the loop's thread comes here, <see cref="Ring"/> excepted, which is set before it starts.
/// </summary>
public sealed class LoopRecorder
{
    /// <summary>How many failures each loop remembers.</summary>
    public const int RememberedFailures = 1_000;

    private const int MaxFree = 4_096;

    private readonly EventLoop _loop;
    private readonly FreeList<RequestRecord> _free = new(MaxFree);
    private RandomSource? _ids;

    internal LoopRecorder(EventLoop loop) => _loop = loop;

    /// <summary>What the access log is written from; null: there is none.</summary>
    public RecordRing? Ring { get; set; }

    public RecentFailures Failures { get; } = new(RememberedFailures);

    /// <summary>A name for a request, different from all others for all practical purposes. It is no secret.</summary>
    internal ulong NextId()
    {
        // Numbers of their own, so that it is not the loop's choices that depend on who fails.
        _ids ??= new RandomSource((ulong)_loop.NowNs ^ ((ulong)_loop.Index << 56));
        return _ids.NextUInt64() | 1;
    }

    /// <summary>A record for a request of a listener with this filter; null when it is not to be written down.</summary>
    internal RequestRecord? RentFor(AccessLogFilter filter)
    {
        if (Ring is null || (filter.Share < 1 && !_loop.Random.Chance(filter.Share)))
        {
            return null;
        }

        var record = _free.TryTake() ?? new RequestRecord();
        record.Clear();
        return record;
    }

    /// <summary>Writes it down, if the filter lets it through.</summary>
    internal void Write(RequestRecord record, AccessLogFilter? filter, ReadOnlySpan<byte> listener, ReadOnlySpan<byte> pool)
    {
        if (Ring is { } ring && (filter is not { OnlyErrors: true } || record.Facts.IsError))
        {
            record.TryWrite(ring, listener, pool);
        }

        Recycle(record);
    }

    internal void Recycle(RequestRecord record) => _free.Keep(record);
}
