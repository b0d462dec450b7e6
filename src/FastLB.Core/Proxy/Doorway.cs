using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>
/// Who may come in at one loop's part of a listener, HTTP or TCP: whether there is a place, whether its client has too many, and whether it has to say
/// first whose connection it is. Only the loop's thread comes here.
/// </summary>
internal sealed class Doorway
{
    private readonly ProxyLoop _proxy;
    private readonly Listener _listener;
    private ListenerSettings _settings;
    private ConnectionPlaces? _places;
    private AcceptWaiter? _waiter;
    private int _admitted;
    private bool _isOver;

    public Doorway(ProxyLoop proxy, Listener listener, ListenerSettings settings)
    {
        _proxy = proxy;
        _listener = listener;
        _settings = settings;
    }

    /// <summary>Counts each client's connections over all loops; null: they are not limited.</summary>
    public ConcurrencyPerClient? PerClient { get; private set; }

    /// <summary>Whether connections wait outside when it is full.</summary>
    public bool LetsWait => _waiter is not null && _settings.WhenFull == WhenFull.Wait;

    /// <summary>From the next connection on. Places that were counted once are counted for good.</summary>
    public void Use(ListenerSettings settings, ConcurrencyPerClient? perClient, ConnectionPlaces? places)
    {
        var letWait = LetsWait;
        _settings = settings;
        _places = places;
        PerClient = perClient;
        if (places is not null && settings.WhenFull == WhenFull.Wait && _waiter is null && !_isOver)
        {
            _waiter = new AcceptWaiter(_listener, _proxy.Loop, places);
            places.Register(_waiter);
        }

        if (letWait && !LetsWait && _listener.IsListening)
        {
            // Who waits outside is told now.
            _proxy.Loop.ResumeAccepting(_listener);
        }
    }

    /// <summary>The listener has stopped: it is woken for places no more. Who came by it stays, and gives its place back.</summary>
    public void OnStopped()
    {
        _isOver = true;
        _waiter?.Leave();
        _waiter = null;
    }

    /// <summary>A place for the connection that is about to be accepted. It is that of the next one that comes in.</summary>
    public bool TryAdmit()
    {
        if (!LetsWait)
        {
            return true;
        }

        if (_waiter!.TryEnterOrWait())
        {
            _admitted++;
            return true;
        }

        _places!.NoteTurnedAway();
        return false;
    }

    public void NotAdmitted()
    {
        if (_admitted > 0)
        {
            _admitted--;
            _places!.Exit();
        }
    }

    /// <summary>The place of a connection that came in: the one that it was admitted with, or one that is there. False when it is full.</summary>
    /// <param name="isCounted">Whether there is a place to give back.</param>
    public bool TryTakePlace(out bool isCounted)
    {
        isCounted = _places is not null;
        if (_admitted > 0)
        {
            _admitted--;
            return true;
        }

        if (_places?.TryEnter() != false)
        {
            return true;
        }

        _places.NoteTurnedAway();
        return false;
    }

    public void GiveBackPlace(bool isCounted)
    {
        if (isCounted)
        {
            _places!.Exit();
        }
    }

    /// <summary>Whether a peer has to say, or may say, whose connection it is.</summary>
    public bool AsksForHeader(in ClientAddress peer) => _settings.ProxyProtocol != ProxyProtocolMode.Off && _settings.ProxyProtocolFrom.Contains(peer);

    /// <summary>Whether a peer is not taken at all: it would have to say whose connection it is, and would not be believed.</summary>
    public bool Refuses(in ClientAddress peer) => _settings.ProxyProtocol == ProxyProtocolMode.Required && !_settings.ProxyProtocolFrom.Contains(peer);

    /// <summary>Counts a connection as its client's, unless it is not known yet whose it is. False, and counted as refused, when that one has as many as it may.</summary>
    public bool TryEnter(in ClientAddress client, bool isKnown, out ClientPlace place)
    {
        place = ClientPlace.Uncounted;
        if (!isKnown || ClientConnection.TryEnter(PerClient, client, out place))
        {
            return true;
        }

        _proxy.Metrics.ConnectionsRefused++;
        return false;
    }

    /// <summary>Looks for a PROXY header at the beginning of what came. Partial when more has to come; Invalid when the connection has to be closed, which is counted.</summary>
    public Http.ParseStatus ReadHeader(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        if (_settings.ProxyProtocol == ProxyProtocolMode.Optional && !ProxyHeader.MayBegin(bytes))
        {
            header = default;
            return Http.ParseStatus.Done;
        }

        var status = ProxyHeader.Parse(bytes, out header);
        if (status == Http.ParseStatus.Invalid)
        {
            _proxy.Metrics.ConnectionsRefused++;
        }

        return status;
    }
}
