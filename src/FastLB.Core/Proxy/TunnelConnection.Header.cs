using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// PROXY headers on both sides of a TCP connection: the one with which a proxy in front says whose connection it is, read before a worker is chosen,
/// within the time of a head; and the one that tells the worker, sent before anything else. Of a connection that has either, bytes have gone through
/// our buffers, so the kernel cannot take over the whole of it (<see cref="EventLoop.TryJoin"/>); large streams are moved all the same.
/// </summary>
public sealed partial class TunnelConnection
{
    private bool _awaitsHeader;
    private bool _wasRead;

    /// <summary>What came until the header was complete, and then what came behind it.</summary>
    private ReceivedBytes _received;

    private void OnHeaderReceived(LoopBuffer? buffer, int result)
    {
        if (result <= 0)
        {
            End(Outcome.ClientAborted, reset: result < 0);
            return;
        }

        if (!_received.Append(buffer!, result, Loop.Buffers))
        {
            End(Outcome.OutOfMemory, reset: true);
            return;
        }

        _wasRead = true;
        Proxy.Metrics.BytesFromClients += result;
        switch (_listener!.Doorway.ReadHeader(_received.Span, out var header))
        {
            case ParseStatus.Done:
                TakeHeader(header);
                break;
            case ParseStatus.Partial:
                Loop.Receive(this);
                break;
            default:
                End(Outcome.ClientMalformed, reset: true);
                break;
        }
    }

    private void TakeHeader(in ProxyHeader header)
    {
        _awaitsHeader = false;
        if (header.HasAddresses)
        {
            Address = header.Source;
        }

        if (!_listener!.Doorway.TryEnter(Address, isKnown: true, out var place))
        {
            End(Outcome.ClientAborted, reset: true);
            return;
        }

        Hold(place);
        if (header.Length > 0)
        {
            _received.Consume(header.Length);
        }

        ChooseWorker();
    }

    private void StartRelay()
    {
        var settings = Pool.Pool.Settings;
        var isUntouched = !_wasRead && settings.ProxyProtocol == ProxyVersion.None;
        if (settings.ProxyProtocol != ProxyVersion.None)
        {
            if (Loop.Buffers.TryRent(ProxyHeader.MaxVersion1Bytes) is not { } buffer)
            {
                End(Outcome.OutOfMemory, reset: true);
                return;
            }

            var start = LoopBuffer.DataOffset;
            var length = ProxyHeaderWriter.Write(settings.ProxyProtocol, Address, _listener!.Destination, buffer.Memory.AsSpan(start));
            Loop.Send(_upstream!, buffer, start, start + length);
        }

        _relay = Proxy.RentRelay();
        var received = _received;
        _received = default;
        var acceleration = !isUntouched && settings.Acceleration == Acceleration.Sockmap ? Acceleration.Splice : settings.Acceleration;
        _relay.Start(this, _upstream!, received, default, clientEnded: false, acceleration);
        AfterRelay();
    }
}
