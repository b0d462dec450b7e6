using System.Net;
using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;
using FastLB.Core.Recording;
using FastLB.Core.Routing;

namespace FastLB.Simulation;

/// <summary>
/// What only some worlds have: PROXY headers from clients and to workers, WebSockets, an access log, routes that answer themselves. Each is drawn from a chance of its own, so that the worlds
/// of other seeds stay as they were.
/// </summary>
internal sealed partial class SimWorld
{
    private static readonly NetworkSet s_everybody = new([IPNetwork.Parse("192.168.0.0/16")]);

    /// <summary>The first three HTTP clients and the first TCP client.</summary>
    private static readonly NetworkSet s_few = new([IPNetwork.Parse("192.168.0.0/30"), IPNetwork.Parse("192.168.1.0/32")]);

    private readonly long[] _recorded = new long[Outcomes.Count];
    private readonly ProxyVersion[] _headersToWorkers = new ProxyVersion[2];
    private RandomSource _headers = new(0);
    private RandomSource _routing = new(0);
    private RandomSource _records = new(0);
    private RandomSource _webSockets = new(0);
    private ProxyProtocolMode _headerMode;
    private NetworkSet _believed = NetworkSet.Empty;
    private RouteRule[] _ownRoutes = [];
    private long _recordCount;
    private bool _hasWebSockets;
    private bool _isRecorded;

    /// <summary>How many clients began with a PROXY header, and how many WebSockets were told to close.</summary>
    internal int ClientHeaders { get; private set; }

    internal long Goodbyes => _clients.Count(c => c.IsToldToClose);

    internal long Records => _recordCount;

    internal int LocalAnswers => _requests.Count(r => r.IsAnswered && r.AnsweredStatus == r.LocalStatus);

    private void DrawFeatures(ulong seed)
    {
        _headers = new RandomSource(seed ^ 0xE7037ED1A0B428DB);
        if (_headers.Chance(0.2))
        {
            _headerMode = _headers.Chance(0.5) ? ProxyProtocolMode.Required : ProxyProtocolMode.Optional;
            _believed = _mood.IsCalm || _headers.Chance(0.6) ? s_everybody : s_few;
        }

        for (var pool = 0; pool < 2; pool++)
        {
            _headersToWorkers[pool] = _headers.Chance(0.15) ? (ProxyVersion)(1 + _headers.Next(2)) : ProxyVersion.None;
        }

        _webSockets = new RandomSource(seed ^ 0x8EBC6AF09C88C6E3);
        _hasWebSockets = _webSockets.Chance(0.3);
        _records = new RandomSource(seed ^ 0x589965CC75374CC3);
        _isRecorded = _records.Chance(0.3);
        _routing = new RandomSource(seed ^ 0x1D8E4E27C47D124F);
        if (_routing.Chance(0.25))
        {
            _ownRoutes =
            [
                new RouteRule(null, "/answer/", "") { Answer = new AnswerSettings { Status = 410, Body = "gone\n"u8.ToArray() } },
                new RouteRule(null, "/moved/", "") { Redirect = new RedirectSettings("/r{path}", 308) },
            ];
        }
    }

    private ListenerSettings WithFeatures(ListenerSettings settings)
    {
        if (_isRecorded)
        {
            // Small enough in some worlds that not everything finds a place.
            _proxy.Recorder.Ring ??= new RecordRing(_records.Chance(0.5) ? 1 << 19 : 1 << 17);
            settings = settings with { AccessLog = new AccessLogFilter() };
        }

        return settings with { ProxyProtocol = _headerMode, ProxyProtocolFrom = _believed };
    }

    /// <summary>In a world with WebSockets there are more upgrades, all of this kind, and many that nobody ends but FastLB or time.</summary>
    private bool IsWebSocket(SimRequest request)
    {
        if (!_hasWebSockets)
        {
            return false;
        }

        request.UpgradesTo = "websocket";
        request.StaysOpen = _webSockets.Chance(0.6);
        return _webSockets.Chance(0.3);
    }

    /// <summary>Where a request goes that no worker is to see; null: to one.</summary>
    private string? OwnPath(SimRequest request)
    {
        // An answer that does not wait for the body may be the last one of its connection (RFC 9110 9.3), which calm clients would miss.
        if (_ownRoutes.Length == 0 || (_mood.IsCalm && request.Body.Length > 0) || request.WantsUpgrade || request.HasBrokenHead || !_routing.Chance(0.15))
        {
            return null;
        }

        request.LocalStatus = _routing.Chance(0.5) ? 410 : 308;
        return request.LocalStatus == 410 ? "/answer/" : "/moved/";
    }

    /// <summary>What a client says first, before its requests.</summary>
    /// <param name="address">Whose the connection is.</param>
    /// <param name="isTcp">Over TCP whoever is not believed and need not say anything says nothing, because it would go to a worker.</param>
    /// <param name="client">Who the client is for workers.</param>
    /// <param name="isShutOut">Whether nothing of it may reach a worker.</param>
    /// <param name="isRefused">Whether it is not even told so.</param>
    private byte[] Hello(in ClientAddress address, bool isTcp, out string client, out bool isShutOut, out bool isRefused)
    {
        isRefused = false;
        client = address.ToIPAddress().ToString();
        isShutOut = false;
        if (_headerMode == ProxyProtocolMode.Off)
        {
            return [];
        }

        var isBelieved = _believed.Contains(address);
        if (_headerMode == ProxyProtocolMode.Optional && ((isTcp && !isBelieved) || _headers.Chance(0.3)))
        {
            return [];
        }

        ClientHeaders++;
        isShutOut = !isBelieved;
        isRefused = !isBelieved && _headerMode == ProxyProtocolMode.Required;
        if (!_mood.IsCalm && _headers.Chance(0.1))
        {
            isShutOut = true;
            isRefused |= isBelieved;
            return Encoding.Latin1.GetBytes(_headers.Next(3) switch
            {
                0 => "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
                1 => "\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u000b12345678901",
                _ => "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
            });
        }

        var isUnknown = _headers.Chance(0.2);
        var named = new IPAddress([203, 0, 113, (byte)(1 + _headers.Next(250))]);
        client = isUnknown || !isBelieved ? client : named.ToString();
        if (_headers.Chance(0.5))
        {
            return Encoding.Latin1.GetBytes(isUnknown ? "PROXY UNKNOWN whatever it is\r\n" : $"PROXY TCP4 {named} 198.51.100.1 {1 + _headers.Next(60_000)} 443\r\n");
        }

        var extra = new byte[_headers.Chance(0.3) ? _headers.Next(300) : 0];
        var length = 12 + extra.Length;
        return
        [
            .. "\r\n\r\n\0\r\nQUIT\n"u8, isUnknown ? (byte)0x20 : (byte)0x21, 0x11, (byte)(length >> 8), (byte)length,
            .. named.GetAddressBytes(), 198, 51, 100, 1, 0x12, 0x34, 1, 0xBB, .. extra,
        ];
    }

    /// <summary>The log's writer comes by now and then.</summary>
    private void ReadRecords(bool all)
    {
        if (_proxy.Recorder.Ring is not { } ring || (!all && !_records.Chance(0.05)))
        {
            return;
        }

        while (ring.TryRead(out var bytes))
        {
            var view = new RecordView(bytes);
            _recordCount++;
            _recorded[(int)view.Facts.Outcome]++;
            Require(view.Facts.TotalNs >= 0 && view.Facts.BytesIn >= 0 && view.Facts.BytesOut >= 0, "a record has less than nothing");
            ring.Release();
        }
    }

    /// <summary>Every request that ended is one record or was counted as dropped, and says how it ended.</summary>
    private void CheckRecords()
    {
        if (_proxy.Recorder.Ring is not { } ring)
        {
            return;
        }

        ReadRecords(all: true);
        Require(_recordCount + ring.Dropped == Ended(), $"{Ended()} requests ended, {_recordCount} were written down and {ring.Dropped} dropped");
        foreach (var outcome in Enum.GetValues<Outcome>())
        {
            var (recorded, counted) = (_recorded[(int)outcome], _proxy.Metrics.Of(outcome));
            Require(recorded <= counted && (ring.Dropped > 0 || recorded == counted), $"{counted} requests ended as {Outcomes.NameOf(outcome)}, and {recorded} records say so");
        }
    }
}
