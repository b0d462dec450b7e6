using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace FastLB.Core.Recording;

/// <summary>
/// What is kept of a request that will be written down, from its head until its end: numbers, and bounded pieces of its head. Rented for the request, so an
/// idle connection has none; one loop owns it.
/// </summary>
public sealed class RequestRecord
{
    /// <summary>The most that is kept of each text, in bytes.</summary>
    public const int MaxMethodBytes = 32;
    public const int MaxTargetBytes = 1024;
    public const int MaxRefererBytes = 512;
    public const int MaxUserAgentBytes = 256;
    public const int MaxRequestIdBytes = 128;

    /// <summary>A pool's name, or the text of an address.</summary>
    private const int MaxNameBytes = 128;

    /// <summary>The longest record in a ring, in bytes.</summary>
    public static int MaxBytes { get; } = Unsafe.SizeOf<RecordFacts>() + MaxMethodBytes + MaxTargetBytes + MaxRefererBytes + MaxUserAgentBytes + MaxRequestIdBytes + (2 * MaxNameBytes);

    private readonly byte[] _texts = new byte[MaxMethodBytes + MaxTargetBytes + MaxRefererBytes + MaxUserAgentBytes + MaxRequestIdBytes];
    private int _textLength;

    public RecordFacts Facts;

    /// <summary>Begins anew.</summary>
    public void Clear()
    {
        _textLength = 0;
        Facts = new RecordFacts { QueueNs = -1, ConnectNs = -1, FirstByteNs = -1, Route = -1, Slot = -1 };
    }

    /// <summary>Keeps what the head says. At most once between two <see cref="Clear"/>.</summary>
    public void KeepHead(ReadOnlySpan<byte> method, ReadOnlySpan<byte> target, ReadOnlySpan<byte> referer, ReadOnlySpan<byte> userAgent)
    {
        Facts.MethodLength = Keep(method, MaxMethodBytes, RecordFlags.None);
        Facts.TargetLength = Keep(target, MaxTargetBytes, RecordFlags.TargetCut);
        Facts.RefererLength = Keep(referer, MaxRefererBytes, RecordFlags.RefererCut);
        Facts.UserAgentLength = Keep(userAgent, MaxUserAgentBytes, RecordFlags.UserAgentCut);
    }

    /// <summary>Keeps what the request is called (X-Request-Id). At most once, after the head.</summary>
    public void KeepRequestId(ReadOnlySpan<byte> id) => Facts.RequestIdLength = Keep(id, MaxRequestIdBytes, RecordFlags.None);

    /// <summary>Writes it down. False when the ring is full; it is counted there.</summary>
    public bool TryWrite(RecordRing ring, ReadOnlySpan<byte> listener, ReadOnlySpan<byte> pool)
    {
        listener = listener[..Math.Min(listener.Length, MaxNameBytes)];
        pool = pool[..Math.Min(pool.Length, MaxNameBytes)];
        Facts.ListenerLength = (ushort)listener.Length;
        Facts.PoolLength = (ushort)pool.Length;
        if (!ring.TryReserve(Unsafe.SizeOf<RecordFacts>() + listener.Length + pool.Length + _textLength, out var record))
        {
            return false;
        }

        MemoryMarshal.Write(record, in Facts);
        record = record[Unsafe.SizeOf<RecordFacts>()..];
        listener.CopyTo(record);
        record = record[listener.Length..];
        pool.CopyTo(record);
        _texts.AsSpan(0, _textLength).CopyTo(record[pool.Length..]);
        ring.Commit();
        return true;
    }

    private ushort Keep(ReadOnlySpan<byte> text, int limit, RecordFlags cut)
    {
        if (text.Length > limit)
        {
            text = text[..limit];
            Facts.Flags |= cut;
        }

        text.CopyTo(_texts.AsSpan(_textLength));
        _textLength += text.Length;
        return (ushort)text.Length;
    }
}
