using FastLB.Core.Loop;

namespace FastLB.Core.Http;

public enum RelayStatus : byte
{
    /// <summary>The body goes on in bytes to come.</summary>
    More,

    /// <summary>The body's last byte was taken.</summary>
    Complete,

    /// <summary>The framing is broken; the refusal says how.</summary>
    Invalid,
}

/// <summary>What one call of <see cref="BodyRelay.Take"/> made of the received bytes.</summary>
/// <param name="Status">Whether the body goes on.</param>
/// <param name="Consumed">Where in the buffer the first byte stands that does not belong to this body.</param>
/// <param name="SendStart">Where in the buffer the bytes to send start.</param>
/// <param name="SendEnd">Where they end; equal to the start when there is nothing to send.</param>
public readonly record struct RelayResult(RelayStatus Status, int Consumed, int SendStart, int SendEnd);

/// <summary>
/// One body on its way through: knows where it ends and frames it anew, in place, for the other side. Chunks are never passed
/// on as they came: their data is moved together and gets one size line of ours per received buffer, for which the buffer's room
/// before and behind the data is enough. One per direction; plain data, owned by its connection.
/// </summary>
public struct BodyRelay
{
    private const int LastChunkLength = 5;

    private readonly BodyKind _kind;
    private readonly bool _sendsChunks;
    private readonly long _limit;
    private long _remaining;
    private ChunkedReader _chunks;

    /// <param name="framing">How the body arrives.</param>
    /// <param name="sendsChunks">Whether it goes on in chunks.</param>
    /// <param name="limit">How many bytes of data it may have; more is <see cref="Refusal.BodyTooLarge"/>.</param>
    public BodyRelay(BodyFraming framing, bool sendsChunks, long limit = long.MaxValue)
    {
        _kind = framing.Kind;
        _remaining = framing.Kind == BodyKind.Length ? framing.Length : 0;
        _sendsChunks = sendsChunks;
        _limit = limit;
        _chunks = default;
        Transferred = 0;
        IsComplete = framing.Kind == BodyKind.None || (framing.Kind == BodyKind.Length && framing.Length == 0);
    }

    public bool IsComplete { get; private set; }

    /// <summary>Bytes of data so far, without framing.</summary>
    public long Transferred { get; private set; }

    /// <summary>True when the end of the connection is the end of the body.</summary>
    public readonly bool EndsWithConnection => _kind == BodyKind.UntilClose;

    /// <summary>True when a body that ended with the connection still needs its last chunk sent.</summary>
    public readonly bool NeedsLastChunk => _kind == BodyKind.UntilClose && _sendsChunks;

    /// <summary>
    /// How many of the bytes that come next belong to this body and go on as they are: what is left of a body with a length,
    /// <see cref="long.MaxValue"/> for one that ends with the connection, 0 where framing has to be read or written.
    /// </summary>
    public readonly long Movable => _kind switch
    {
        BodyKind.Length => _remaining,
        BodyKind.UntilClose when !_sendsChunks && !IsComplete => long.MaxValue,
        _ => 0,
    };

    /// <summary>So many of its bytes went on without coming by here.</summary>
    public void NoteMoved(long count)
    {
        Invariant.That(count >= 0 && count <= Movable, "no more is moved than belongs to the body");
        Transferred += count;
        if (_kind == BodyKind.Length)
        {
            _remaining -= count;
            IsComplete = _remaining == 0;
        }
    }

    /// <summary>Takes what belongs to the body from the received bytes and leaves behind, in the same buffer, what is to be sent.</summary>
    public RelayResult Take(LoopBuffer buffer, int start, int end, out Refusal refusal)
    {
        Invariant.That(!IsComplete, "nothing is taken for a body that is complete");
        refusal = Refusal.None;
        switch (_kind)
        {
            case BodyKind.Length:
                var taken = (int)Math.Min(_remaining, end - start);
                _remaining -= taken;
                Transferred += taken;
                IsComplete = _remaining == 0;
                return new RelayResult(Status, start + taken, start, start + taken);

            case BodyKind.Chunked:
                return TakeChunks(buffer, start, end, out refusal);

            default:
                Invariant.That(_kind == BodyKind.UntilClose, "a body that is not complete has a kind");
                Transferred += end - start;
                var (sendStart, sendEnd) = Framed(buffer, start, end);
                return new RelayResult(RelayStatus.More, end, sendStart, sendEnd);
        }
    }

    /// <summary>The connection ended, and with it a body of <see cref="BodyKind.UntilClose"/>.</summary>
    public void EndWithConnection()
    {
        Invariant.That(_kind == BodyKind.UntilClose, "only a body without a length ends with its connection");
        IsComplete = true;
    }

    private readonly RelayStatus Status => IsComplete ? RelayStatus.Complete : RelayStatus.More;

    private RelayResult TakeChunks(LoopBuffer buffer, int start, int end, out Refusal refusal)
    {
        var memory = buffer.Memory;
        var position = start;
        var dataStart = -1;
        var dataEnd = -1;
        var isLast = false;
        while (true)
        {
            var step = _chunks.Next(memory.AsSpan(position, end - position), out var consumed, out var run, out var length, out refusal);
            if (step == ChunkStep.Data)
            {
                Transferred += length;
                if (Transferred > _limit)
                {
                    refusal = Refusal.BodyTooLarge;
                    return new RelayResult(RelayStatus.Invalid, position, 0, 0);
                }

                if (dataStart < 0)
                {
                    dataStart = position + run;
                    dataEnd = dataStart + length;
                }
                else
                {
                    memory.AsSpan(position + run, length).CopyTo(memory.AsSpan(dataEnd));
                    dataEnd += length;
                }

                position += consumed;
                continue;
            }

            if (step == ChunkStep.Invalid)
            {
                return new RelayResult(RelayStatus.Invalid, position, 0, 0);
            }

            position += consumed;
            isLast = step == ChunkStep.End;
            break;
        }

        IsComplete = isLast;
        if (dataStart < 0)
        {
            if (!isLast || !_sendsChunks)
            {
                return new RelayResult(Status, position, position, position);
            }

            // Only the end arrived. It is written over the bytes just read, reaching into the room before them if need be.
            "0\r\n\r\n"u8.CopyTo(memory.AsSpan(position - LastChunkLength));
            return new RelayResult(Status, position, position - LastChunkLength, position);
        }

        var (sendStart, sendEnd) = Framed(buffer, dataStart, dataEnd);
        if (isLast && _sendsChunks)
        {
            // The end of the last chunk's data is followed by at least as many bytes of framing as are written here, so the
            // next message's bytes are not touched.
            "0\r\n\r\n"u8.CopyTo(memory.AsSpan(sendEnd));
            sendEnd += LastChunkLength;
        }

        return new RelayResult(Status, position, sendStart, sendEnd);
    }

    /// <summary>Puts the size line before and CRLF behind the data when the other side gets chunks.</summary>
    private readonly (int Start, int End) Framed(LoopBuffer buffer, int start, int end)
    {
        if (!_sendsChunks || start == end)
        {
            return (start, end);
        }

        var memory = buffer.Memory;
        "\r\n"u8.CopyTo(memory.AsSpan(end));
        memory[--start] = (byte)'\n';
        memory[--start] = (byte)'\r';
        for (var size = end - start - 2; size > 0; size >>= 4)
        {
            memory[--start] = "0123456789abcdef"u8[size & 15];
        }

        return (start, end + 2);
    }
}
