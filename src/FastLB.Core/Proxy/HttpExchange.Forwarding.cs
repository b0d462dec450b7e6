using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// Who a request comes from, what it is called, and what its worker and its client are told about that. Where a listener forwards in the usual way
/// there is no <see cref="Forwarder"/>, and the client is the connection's peer.
/// </summary>
internal sealed partial class HttpExchange
{
    private const int MaxAddedBytes = RequestId.MaxBytes + 16 + ServerTiming.MaxBytes;

    private Forwarder? _forwarder;
    private ClientAddress _clientAddress;
    private RequestId _requestId;
    private long _queuedSinceNs;
    private long _queueNs;
    private long _connectingSinceNs;
    private long _connectNs;

    /// <summary>Whose request it is: the connection's peer, or who a trusted proxy says. Of a request that was refused, or ran ahead, the peer.</summary>
    internal ClientAddress ClientAddress => _clientAddress.IsNone ? _client!.Address : _clientAddress;

    /// <summary>What the request is called; empty where requests are given no ids.</summary>
    internal ref readonly RequestId RequestId => ref _requestId;

    /// <summary>How long it has waited for a worker, in nanoseconds.</summary>
    internal long QueueNs => _queueNs;

    /// <summary>How long connections to workers took to open, in nanoseconds; 0 on one that was open.</summary>
    internal long ConnectNs => _connectNs;

    private void Recognise(Forwarder forwarder, ReadOnlySpan<byte> source, MessageHead head)
    {
        var peer = _client!.Address;
        if (!forwarder.Concerns(peer))
        {
            return;
        }

        _forwarder = forwarder;
        head.TrustsForwarding = forwarder.Trusts(peer);
        _clientAddress = forwarder.ClientOf(peer, source, head);
        forwarder.Identify(peer, source, head, Loop.Random, ref _requestId);
    }

    /// <summary>Lets the worker be told in the listener's own way. False when that makes the head too large.</summary>
    private bool TryForward(ReadOnlySpan<byte> source, MessageHead head, in RequestFacts facts, ref RequestRewrite rewrite)
    {
        var host = source.Slice(facts.HostStart, facts.HostLength);
        var fits = _forwarder!.TryWriteLines(_client!.Address, source, head, host, _requestId, Loop.Random, out var lines);
        rewrite = rewrite with { HasForwardingLines = true, ForwardingLines = lines };
        return fits;
    }

    /// <summary>The answer's head with what the client is told besides what its worker says. The count of the bytes, or -1.</summary>
    private int WriteAnswerHeadWithLines(ReadOnlySpan<byte> source, MessageHead head, in ResponseFacts facts, in ResponseRewrite rewrite)
    {
        Span<byte> lines = stackalloc byte[MaxAddedBytes];
        var length = _requestId.IsEmpty ? 0 : Forwarder.WriteAnswerLine(source, head, _requestId, lines);
        if (_forwarder!.Settings.ServerTiming)
        {
            var now = Loop.NowNs;
            length += ServerTiming.Write(new RequestTimes(now - _beganNs, _queueNs, _connectNs, now - _sentNs), lines[length..]);
        }

        var withLines = rewrite with { AddedLines = lines[..length] };
        return HeadRewriter.WriteResponse(source, head, facts, withLines, _proxy.HeadScratch);
    }

    /// <summary>Tells the worker whose connection this is. The connect's deadline covers that.</summary>
    private void SendProxyHeader()
    {
        if (Loop.Buffers.TryRent(ProxyHeader.MaxVersion1Bytes) is not { } buffer)
        {
            _client!.Abort(Outcome.OutOfMemory);
            return;
        }

        var start = LoopBuffer.DataOffset;
        var length = ProxyHeaderWriter.Write(_pool!.Pool.Settings.ProxyProtocol, ClientAddress, _client!.Listener.Destination, buffer.Memory.AsSpan(start));
        Loop.Send(_upstream!, buffer, start, start + length);
    }

    private void OnProxyHeaderSent(int result)
    {
        if (result < 0)
        {
            NoteConnectFailure(result);
            RetryOrAnswer(ErrorResponses.ConnectFailed, Outcome.ConnectFailed);
            return;
        }

        Loop.Receive(_upstream!);
        SendRequest();
    }

    private void ForgetForwarding()
    {
        _forwarder = null;
        _clientAddress = default;
        _requestId.Clear();
        _queueNs = 0;
        _connectNs = 0;
    }
}
