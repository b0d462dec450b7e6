using FastLB.Core.Http;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// How a connection begins that does not begin with a request: with a PROXY header, which has the deadline of the first head and is read before anything else;
/// or with our telling it that the listener has as many connections as it may.
/// </summary>
public sealed partial class HttpConnection
{
    private void ReadProxyHeader()
    {
        switch (_listener!.Doorway.ReadHeader(Received.Span, out var header))
        {
            case ParseStatus.Done:
                _phase = Phase.AwaitingHead;
                if (header.HasAddresses)
                {
                    Address = header.Source;
                }

                if (!_listener.Doorway.TryEnter(Address, isKnown: true, out var place))
                {
                    Loop.Close(this, reset: true);
                    return;
                }

                Hold(place);
                if (header.Length > 0)
                {
                    Received.Consume(header.Length);
                }

                if (Received.IsEmpty)
                {
                    WatchClient();
                }
                else
                {
                    ReadHead();
                }

                break;

            case ParseStatus.Partial:
                Loop.Receive(this);
                break;

            default:
                // Who speaks something else than agreed is told nothing.
                Loop.Close(this, reset: true);
                break;
        }
    }

    /// <summary>Nothing of it was read, so the answer ends the connection, in good order.</summary>
    private void TellThatFull() => BeginExchange().Answer(ErrorResponses.TooManyConnections, Outcome.ConnectionLimit, close: true);

    private void LeaveListener()
    {
        if (!HasPlace)
        {
            _listener!.NoteAnswered();
        }

        Leave(_listener!.Doorway);
    }
}
