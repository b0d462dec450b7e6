using FastLB.Core.Http;
using FastLB.Core.Metrics;

namespace FastLB.Core.Proxy;

/// <summary>
/// How a connection begins that does not begin with a request: with a PROXY header, which has the deadline of the first head and is read before anything else;
/// or with our telling it that the listener, or its client, has as many connections as it may.
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
                    TurnAway();
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

    /// <summary>It has no place, because its client has as many connections as it may, and is to be told so.</summary>
    internal void NoteClientHasTooMany() => _phase = Phase.OneTooMany;

    /// <summary>Its header names a client that has as many connections as it may. The listener's place goes to somebody else at once.</summary>
    private void TurnAway()
    {
        if (!_listener!.TryBeginAnswering())
        {
            Loop.Close(this, reset: true);
            return;
        }

        Leave(_listener.Doorway);
        NoteClientHasTooMany();
        TellThatFull();
    }

    /// <summary>No request of it was read, so the answer ends the connection, in good order.</summary>
    private void TellThatFull()
    {
        var answer = _phase == Phase.OneTooMany ? ErrorResponses.TooManyConnectionsOfClient : ErrorResponses.TooManyConnections;
        BeginExchange().Answer(answer, Outcome.ConnectionLimit, close: true);
    }

    private void LeaveListener()
    {
        if (!HasPlace)
        {
            _listener!.NoteAnswered();
        }

        Leave(_listener!.Doorway);
    }
}
