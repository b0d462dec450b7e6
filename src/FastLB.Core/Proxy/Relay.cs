using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

public enum RelayState : byte
{
    Running,

    /// <summary>Both sides ended their streams and everything was handed on.</summary>
    Finished,

    /// <summary>The client's connection broke; the worker has to see that.</summary>
    ClientBroke,

    /// <summary>The worker's connection broke; the client has to see that.</summary>
    WorkerBroke,
}

/// <summary>
/// Raw bytes both ways between a client and a worker: an upgraded or a TCP connection. The two directions are independent; each
/// holds at most one buffer and reads on only when the other side has taken it. A direction that has brought a whole large buffer at once is
/// moved by the kernel from there on, until the loop would rather copy again. Where it can be had and is wanted, the kernel passes on
/// everything by itself (<see cref="EventLoop.TryJoin"/>). An end is passed on as an end of that direction alone.
/// The connection that owns the relay passes it what happens to its two peers, and acts on <see cref="State"/>.
/// </summary>
public sealed partial class Relay
{
    /// <summary>Bytes after which a move ends and the next one begins, so that they are counted while a long stream runs.</summary>
    internal const long BytesPerMove = 16 * 1024 * 1024;

    private readonly EventLoop _loop;
    private readonly LoopMetrics _metrics;
    private Peer? _client;
    private Peer? _upstream;
    private ReceivedBytes _fromClient;
    private ReceivedBytes _fromUpstream;
    private bool _clientEnded;
    private bool _upstreamEnded;
    private bool _clientIsBulky;
    private bool _upstreamIsBulky;
    private bool _mayMove;
    private bool _isJoined;
    private (long Client, long Upstream) _countedBytes;
    private (long Client, long Upstream) _seenProgress;

    internal Relay(EventLoop loop, LoopMetrics metrics)
    {
        _loop = loop;
        _metrics = metrics;
    }

    public RelayState State { get; private set; }

    /// <summary>Bytes of the client that came, and bytes that were sent to it.</summary>
    public long BytesFromClient { get; private set; }

    public long BytesToClient { get; private set; }

    /// <summary>True when one side has ended its stream; the other then gets a shorter time.</summary>
    public bool IsHalfClosed => _clientEnded || _upstreamEnded;

    /// <summary>True when bytes pass by unseen, so that somebody has to ask how many and when.</summary>
    public bool IsJoined => _isJoined;

    /// <summary>Begins with the bytes that each side has already sent. The references to their buffers go over to the relay.</summary>
    internal void Start(
        Peer client, Peer upstream, ReceivedBytes fromClient, ReceivedBytes fromUpstream, bool clientEnded, Acceleration acceleration, TunnelCounters? counters = null)
    {
        _counters = counters;
        _client = client;
        _upstream = upstream;
        _fromClient = fromClient;
        _fromUpstream = fromUpstream;
        _clientEnded = clientEnded;
        _mayMove = acceleration != Acceleration.Copy && !_isWebSocket;
        State = RelayState.Running;
        if (acceleration == Acceleration.Sockmap && fromClient.IsEmpty && fromUpstream.IsEmpty && !clientEnded && !client.IsSending)
        {
            _isJoined = _loop.TryJoin(client, upstream);
            if (_isJoined)
            {
                return;
            }
        }

        PumpToUpstream();
        PumpToClient();
    }

    internal void OnClientReceived(LoopBuffer? buffer, int result)
    {
        if (result < 0)
        {
            State = RelayState.ClientBroke;
            return;
        }

        if (result == 0)
        {
            _clientEnded = true;
        }
        else
        {
            _metrics.BytesFromClients += result;
            BytesFromClient += result;
            if (_counters is { } counters)
            {
                counters.BytesFromClients += result;
            }

            Invariant.That(_fromClient.IsEmpty, "a direction holds one buffer");
            _fromClient.Append(buffer!, result, _loop.Buffers);
            _clientIsBulky = result >= _loop.WorthMovingBytes;
        }

        PumpToUpstream();
    }

    internal void OnUpstreamReceived(LoopBuffer? buffer, int result)
    {
        if (result < 0)
        {
            OnUpstreamBroke();
            return;
        }

        if (result == 0)
        {
            _upstreamEnded = true;
        }
        else
        {
            Invariant.That(_fromUpstream.IsEmpty, "a direction holds one buffer");
            _fromUpstream.Append(buffer!, result, _loop.Buffers);
            _upstreamIsBulky = result >= _loop.WorthMovingBytes;
        }

        PumpToClient();
    }

    internal void OnClientSent(int result)
    {
        if (result < 0)
        {
            State = RelayState.ClientBroke;
            return;
        }

        PumpToClient();
    }

    internal void OnUpstreamSent(int result)
    {
        if (result < 0)
        {
            OnUpstreamBroke();
            return;
        }

        PumpToUpstream();
    }

    internal void OnClientMoved(in MoveResult result)
    {
        Count(result.Bytes - _countedBytes.Client, 0);
        _countedBytes.Client = 0;
        State = StateAfter(result, sourceBroke: RelayState.ClientBroke, targetBroke: RelayState.WorkerBroke);
        if (State == RelayState.Running)
        {
            _clientEnded = result.End == MoveEnd.SourceEnded;
            _clientIsBulky = result.End == MoveEnd.Complete;
            PumpToUpstream();
        }
    }

    internal void OnUpstreamMoved(in MoveResult result)
    {
        Count(0, result.Bytes - _countedBytes.Upstream);
        _countedBytes.Upstream = 0;
        State = StateAfter(result, sourceBroke: RelayState.WorkerBroke, targetBroke: RelayState.ClientBroke);
        if (State == RelayState.Running)
        {
            _upstreamEnded = result.End == MoveEnd.SourceEnded;
            _upstreamIsBulky = result.End == MoveEnd.Complete;
            PumpToClient();
        }
    }

    /// <summary>Whether a send or a move has got on since the last call. Asked by the timer, for which a slow side is not a silent one.</summary>
    internal bool HasMoved()
    {
        if (_isJoined)
        {
            CountPassed();
        }

        var progress = (Of(_client!), Of(_upstream!));
        var hasMoved = progress != _seenProgress && (_client!.IsSending || _upstream!.IsSending);
        _seenProgress = progress;
        return hasMoved;

        long Of(Peer peer) => peer.IsSending ? _loop.SendProgress(peer) : 0;
    }

    /// <summary>Brings the counters up to what was passed on so far.</summary>
    private void CountPassed()
    {
        var passed = (_loop.Moved(_client!), _loop.Moved(_upstream!));
        Count(Math.Max(0, passed.Item1 - _countedBytes.Client), Math.Max(0, passed.Item2 - _countedBytes.Upstream));
        _countedBytes = (Math.Max(passed.Item1, _countedBytes.Client), Math.Max(passed.Item2, _countedBytes.Upstream));
    }

    private void Count(long fromClient, long toClient)
    {
        BytesFromClient += fromClient;
        BytesToClient += toClient;
        if (_counters is { } counters)
        {
            counters.BytesFromClients += fromClient;
            counters.BytesToClients += toClient;
        }

        _metrics.BytesFromClients += fromClient;
        _metrics.BytesToClients += toClient;
        _metrics.BytesMoved += fromClient + toClient;
    }

    internal void Reset()
    {
        _isJoined = false;
        ForgetFrames();
        BytesFromClient = 0;
        BytesToClient = 0;
        _countedBytes = default;
        _seenProgress = default;
        _fromClient.Release();
        _fromUpstream.Release();
        _client = null;
        _upstream = null;
        _clientEnded = false;
        _upstreamEnded = false;
        _clientIsBulky = false;
        _upstreamIsBulky = false;
    }

    private static RelayState StateAfter(in MoveResult result, RelayState sourceBroke, RelayState targetBroke) => result.End switch
    {
        MoveEnd.SourceFailed => sourceBroke,
        MoveEnd.TargetFailed => targetBroke,
        _ => RelayState.Running,
    };

    private void PumpToUpstream()
    {
        Pump(_client!, _upstream!, ref _fromClient, _clientEnded, _clientIsBulky);
        NoteIfFinished();
    }

    private void PumpToClient()
    {
        var sent = Pump(_upstream!, _client!, ref _fromUpstream, _upstreamEnded, _upstreamIsBulky);
        BytesToClient += sent;
        if (_counters is { } counters)
        {
            counters.BytesToClients += sent;
        }

        _metrics.BytesToClients += sent;
        NoteIfFinished();
    }

    /// <summary>Does the next thing for one direction, if it can be done now. Answers how many bytes were handed on.</summary>
    private int Pump(Peer source, Peer target, ref ReceivedBytes held, bool ended, bool isBulky)
    {
        if (target.IsSending)
        {
            return 0;
        }

        if (_isWebSocket && ReferenceEquals(target, _client) && TryTellClient())
        {
            return WebSocketClose.ClientBytes;
        }

        while (!held.IsEmpty)
        {
            var buffer = held.Buffer!;
            var (start, end) = (held.Start, held.End);
            if (_isWebSocket)
            {
                end = start + Follow(ReferenceEquals(target, _client), held.Span);
                if (end == start)
                {
                    held.Consume(held.Length);
                    continue;
                }
            }

            buffer.Retain();
            held.Consume(end - start);
            _loop.Send(target, buffer, start, end);
            return end - start;
        }

        if (ended)
        {
            if (_upstreamGone && ReferenceEquals(target, _upstream))
            {
                return 0;
            }

            _loop.ShutdownSend(target);
        }
        else if (!source.IsReceiving)
        {
            if (isBulky && _mayMove && _loop.CanMove(source, target))
            {
                _loop.Move(source, target, BytesPerMove);
            }
            else
            {
                _loop.Receive(source);
            }
        }

        return 0;
    }

    private void NoteIfFinished()
    {
        if (IsGoodbyeOver)
        {
            State = RelayState.Finished;
        }

        if (_clientEnded && _upstreamEnded && _fromClient.IsEmpty && _fromUpstream.IsEmpty
            && !_client!.IsSending && !_upstream!.IsSending)
        {
            State = RelayState.Finished;
        }
    }
}
