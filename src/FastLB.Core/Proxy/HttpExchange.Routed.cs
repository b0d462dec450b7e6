using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;

namespace FastLB.Core.Proxy;

/// <summary>What a request's route makes of it besides sending it to a pool: answers of its own, other limits and times, changed heads.</summary>
internal sealed partial class HttpExchange
{
    /// <summary>What a head may grow by in the buffer that it came in.</summary>
    private const int RoomInPlace = LoopBuffer.DataOffset / 2;

    /// <summary>The longest name of a worker: pool, '/', slot.</summary>
    private const int MaxWorkerNameBytes = 128;

    private LoopRoute? _route;

    /// <summary>Method, host, and target of the request, one behind the other; null unless the answer's headers name one of them.</summary>
    private LoopBuffer? _kept;
    private int _keptMethodEnd;
    private int _keptHostEnd;
    private int _keptEnd;

    /// <summary>The route's, where it has its own, otherwise the pool's.</summary>
    private Timeouts PoolTimeouts => _route!.PoolTimeouts ?? _pool!.Timeouts;

    private RetrySettings Retries => _route!.Retries ?? _pool!.Pool.Settings.Retries;

    /// <summary>No route, or several that the path may be for.</summary>
    private void AnswerUnrouted(int rule, MessageHead head)
    {
        _client!.Received.Consume(head.Length);
        if (rule == RouteTable.Ambiguous)
        {
            Answer(ErrorResponses.PathAmbiguous, Outcome.ClientMalformed, close: true);
        }
        else
        {
            Answer(ErrorResponses.NoRoute, Outcome.NoRoute, close: false);
        }
    }

    /// <summary>Answers what the route answers itself. False, and nothing happened, when a pool does.</summary>
    private bool TryAnswerHere(ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts)
    {
        var route = _route!.Route;
        ErrorResponse? answer;
        var locationLength = 0;
        if (route.IsInMaintenance)
        {
            answer = route.MaintenanceAnswer;
        }
        else if (route.OwnAnswer is not null)
        {
            answer = route.OwnAnswer;
            if (route.Redirect is { } location && !TryWriteLocation(location, source, head, facts, out locationLength))
            {
                Refuse(Refusal.HeadTooLarge);
                return true;
            }
        }
        else if (_route.Pool is null)
        {
            // There was nothing but the maintenance, which is over.
            AnswerUnrouted(RouteTable.NoRoute, head);
            return true;
        }
        else
        {
            return false;
        }

        _client!.Received.Consume(head.Length);
        Answer(answer!, Outcome.AnsweredHere, close: false, _proxy.HeadScratch.AsSpan(0, locationLength));
        return true;
    }

    private bool TryWriteLocation(TextTemplate location, ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts, out int length)
    {
        var target = TargetOf(source, head, facts);
        var question = target.IndexOf((byte)'?');
        var values = new TemplateValues
        {
            Host = facts.HostNameLength > 0 ? source.Slice(facts.HostStart, facts.HostNameLength) : _client!.Listener.FallbackHost,

            // The '*' of OPTIONS would go on with the host in front of it.
            Path = target[0] != '/' ? "/"u8 : question < 0 ? target : target[..question],
            Query = question < 0 ? default : target[question..],
        };
        var writer = new HeadWriter(_proxy.HeadScratch);
        writer.Write("Location: "u8);
        location.Write(ref writer, values, isUri: true);
        writer.Write("\r\n"u8);
        length = writer.Length;
        return !writer.Overflowed && writer.Length <= MessageHead.MaxBytes;
    }

    /// <summary>What the route changes in the request's head; null: nothing. False when that makes it larger than any head may be.</summary>
    private bool TryEditRequest(ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts, ReadOnlySpan<byte> clientAddress, out HeadEdits? edits)
    {
        edits = null;
        var route = _route!.Route;
        if (route.ResponseChanges is { NamesRequest: true })
        {
            KeepRequest(source, head, facts);
        }

        if (!route.ChangesRequest)
        {
            return true;
        }

        var target = TargetOf(source, head, facts);
        var question = target.IndexOf((byte)'?');
        edits = _proxy.Edits;
        return edits.TryMake(
            route.RequestChanges,
            new TemplateValues
            {
                ClientAddress = clientAddress,
                ClientPort = ClientAddress.Port,
                Host = source.Slice(facts.HostStart, facts.HostNameLength),
                Path = question < 0 ? target : target[..question],
                Query = question < 0 ? default : target[question..],
                Method = source.Slice(head.MethodStart, head.MethodLength),
                Pool = route.PoolNameBytes,
                Route = route.NameBytes,
                RequestId = _requestId.Bytes,
            },
            route.Rewrite);
    }

    /// <summary>What the route changes in the answer's head; null: nothing. False when that makes it larger than any head may be.</summary>
    private bool TryEditAnswer(out HeadEdits? edits)
    {
        edits = null;
        var route = _route!.Route;
        if (route.ResponseChanges is not { } changes)
        {
            return true;
        }

        Span<byte> addressText = stackalloc byte[ClientAddress.MaxTextLength];
        ClientAddress.TryFormat(addressText, out var addressLength);
        Span<byte> workerText = stackalloc byte[MaxWorkerNameBytes];
        System.Text.Encoding.UTF8.TryGetBytes(_upstreamPool!.Worker.Name, workerText, out var workerLength);
        var kept = _kept is { } buffer ? buffer.Span(LoopBuffer.DataOffset, _keptEnd) : default;
        var target = kept.IsEmpty ? default : kept[(_keptHostEnd - LoopBuffer.DataOffset)..];
        var question = target.IndexOf((byte)'?');
        var fits = _proxy.Edits.TryMake(
            changes,
            new TemplateValues
            {
                ClientAddress = addressText[..addressLength],
                ClientPort = ClientAddress.Port,
                Method = kept.IsEmpty ? default : kept[..(_keptMethodEnd - LoopBuffer.DataOffset)],
                Host = kept.IsEmpty ? default : kept[(_keptMethodEnd - LoopBuffer.DataOffset)..(_keptHostEnd - LoopBuffer.DataOffset)],
                Path = question < 0 ? target : target[..question],
                Query = question < 0 ? default : target[question..],
                Pool = route.PoolNameBytes,
                Route = route.NameBytes,
                RequestId = _requestId.Bytes,
                Worker = workerText[..workerLength],
            });
        edits = _proxy.Edits;
        return fits;
    }

    /// <summary>The request's head is gone when its answer comes. Without a buffer what names it stays empty.</summary>
    private void KeepRequest(ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts)
    {
        var target = TargetOf(source, head, facts);
        _kept = Loop.Buffers.TryRent(head.MethodLength + facts.HostNameLength + target.Length);
        if (_kept is not { } kept)
        {
            return;
        }

        _keptMethodEnd = LoopBuffer.DataOffset + head.MethodLength;
        _keptHostEnd = _keptMethodEnd + facts.HostNameLength;
        _keptEnd = _keptHostEnd + target.Length;
        source.Slice(head.MethodStart, head.MethodLength).CopyTo(kept.Memory.AsSpan(LoopBuffer.DataOffset));
        source.Slice(facts.HostStart, facts.HostNameLength).CopyTo(kept.Memory.AsSpan(_keptMethodEnd));
        target.CopyTo(kept.Memory.AsSpan(_keptHostEnd));
    }

    private void ForgetRoute()
    {
        _kept?.Release();
        _kept = null;
        _route = null;
    }

    private static ReadOnlySpan<byte> TargetOf(ReadOnlySpan<byte> source, MessageHead head, scoped in RequestFacts facts) =>
        facts.PathLength > 0 ? source.Slice(facts.PathStart, facts.PathLength) : head.Method == RequestMethod.Options ? "*"u8 : "/"u8;

    /// <summary>
    /// A head that has outgrown the room before what came is sent by itself, from the scratch memory; the body follows as usual. False
    /// when there is no buffer for it.
    /// </summary>
    private bool TryRentHead(int length, out LoopBuffer? buffer)
    {
        buffer = length <= BufferPool.LargeCapacity ? Loop.Buffers.TryRent(length) : null;
        if (buffer is null)
        {
            return false;
        }

        _proxy.HeadScratch.AsSpan(0, length).CopyTo(buffer.Memory.AsSpan(LoopBuffer.DataOffset));
        return true;
    }
}
