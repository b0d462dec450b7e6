using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>
/// How a WebSocket is ended politely by somebody who only passes it on. Frames are followed in both directions, so bytes are not moved past user space. When the
/// time has come, a close frame goes to the client behind the frame that it is getting; what the worker sends afterwards is thrown away. What the client still
/// sends goes on to the worker, its answering close frame last, so no message of it is lost and the worker is told as well. When the client does not answer,
/// the worker is told by a close frame of ours. A stream that breaks the rules is passed on as it is and cannot be ended politely.
/// </summary>
public sealed partial class Relay
{
    private bool _isWebSocket;
    private WebSocketScanner _clientFrames = new(isFromClient: true);
    private WebSocketScanner _upstreamFrames = new(isFromClient: false);
    private TunnelCounters? _counters;
    private ushort _closeCode;
    private bool _clientTold;
    private bool _upstreamTold;
    private bool _upstreamGone;

    /// <summary>True once the close frame was put in towards the client; its answer is awaited.</summary>
    internal bool HasToldClient => _clientTold;

    /// <summary>Follows the frames from the first byte on. Called before <see cref="Start"/>.</summary>
    internal void FollowFrames()
    {
        _isWebSocket = true;
        _clientFrames = new WebSocketScanner(isFromClient: true);
        _upstreamFrames = new WebSocketScanner(isFromClient: false);
    }

    /// <summary>Ends the WebSocket as soon as the frame towards the client is over. Nothing happens where frames are not followed.</summary>
    internal void TellToClose(ushort code)
    {
        if (_isWebSocket && _closeCode == 0 && !_upstreamFrames.HasClosed)
        {
            _closeCode = code;
            PumpToClient();
        }
    }

    /// <summary>The client has not answered its close frame in time: the worker is told, if it is at the end of a frame.</summary>
    internal void TellWorker()
    {
        if (_clientTold && !_upstreamTold && !_clientFrames.HasClosed && _clientFrames.Status == ParseStatus.Done && !_upstream!.IsSending)
        {
            _upstreamTold = true;
            Span<byte> frame = stackalloc byte[WebSocketClose.MaxBytes];
            TrySend(_upstream, frame[..WebSocketClose.WriteMasked(_closeCode, (uint)_loop.Random.NextUInt64(), frame)]);
        }
    }

    /// <summary>How many of the bytes at hand go on now: up to the end of a frame when one is to be put in behind it, otherwise all of them. 0: none ever.</summary>
    private int Follow(bool isToClient, ReadOnlySpan<byte> bytes)
    {
        ref var frames = ref isToClient ? ref _upstreamFrames : ref _clientFrames;
        var before = frames.Messages;
        var at = 0;
        do
        {
            at += frames.Advance(bytes[at..]);
        }
        while (at < bytes.Length && !(isToClient && _closeCode != 0 && frames.Status == ParseStatus.Done));

        if (_counters is { } counters)
        {
            (isToClient ? ref counters.MessagesToClients : ref counters.MessagesFromClients) += frames.Messages - before;
        }

        return (isToClient ? _clientTold : _upstreamGone || _upstreamTold) ? 0 : at;
    }

    /// <summary>Puts the close frame in, if it is due and a frame has just ended. True when it is on its way.</summary>
    private bool TryTellClient()
    {
        if (_closeCode == 0 || _clientTold || _upstreamEnded || _upstreamFrames.Status != ParseStatus.Done || _upstreamFrames.HasClosed)
        {
            return false;
        }

        Span<byte> frame = stackalloc byte[WebSocketClose.MaxBytes];
        if (!TrySend(_client!, frame[..WebSocketClose.Write(_closeCode, frame)]))
        {
            return false;
        }

        _clientTold = true;
        if (_counters is not null)
        {
            _counters.ToldToClose++;
        }

        return true;
    }

    /// <summary>The client has answered the close frame, or left, and its last bytes are with the worker.</summary>
    private bool IsGoodbyeOver =>
        _clientTold && !_client!.IsSending && !_upstream!.IsSending && _fromClient.IsEmpty
        && (_clientEnded || _upstreamTold || (_clientFrames.HasClosed && _clientFrames.Status == ParseStatus.Done));

    /// <summary>
    /// The worker's connection broke. As long as the client was not told that the end is near, that is the end; afterwards nobody needs the worker any more.
    /// </summary>
    private void OnUpstreamBroke()
    {
        if (!_clientTold)
        {
            State = RelayState.WorkerBroke;
            return;
        }

        _upstreamGone = true;
        PumpToUpstream();
    }

    private bool TrySend(Peer target, ReadOnlySpan<byte> bytes)
    {
        if (_loop.Buffers.TryRent(bytes.Length) is not { } buffer)
        {
            return false;
        }

        bytes.CopyTo(buffer.Memory.AsSpan(LoopBuffer.DataOffset));
        _loop.Send(target, buffer, LoopBuffer.DataOffset, LoopBuffer.DataOffset + bytes.Length);
        return true;
    }

    private void ForgetFrames()
    {
        _isWebSocket = false;
        _closeCode = 0;
        _clientTold = false;
        _upstreamTold = false;
        _upstreamGone = false;
        _counters = null;
    }
}
