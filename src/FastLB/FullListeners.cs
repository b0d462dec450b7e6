using FastLB.Admin;
using FastLB.Core.Proxy;
using FastLB.Core.Routing;

namespace FastLB;

/// <summary>A listener whose connections are limited.</summary>
/// <param name="Bind">Its address, as messages name it.</param>
internal sealed record WatchedListener(string Bind, ListenerSettings Settings, ConnectionPlaces Places);

/// <summary>
/// Tells in the log when a listener is full and when that is over, once for each time. Looks at the counters once a second, so a crowd
/// costs one line and the loops nothing.
/// </summary>
internal sealed partial class FullListeners : IDisposable
{
    private const int LookMs = 1_000;

    /// <summary>After so many looks without anybody turned away it is over.</summary>
    private const int QuietLooks = 5;

    private readonly ILogger _log;
    private readonly Func<IReadOnlyList<WatchedListener>> _listeners;
    private readonly Dictionary<ConnectionPlaces, Episode> _episodes = [];
    private readonly Timer _timer;

    /// <param name="listeners">Those of now; a reload changes them.</param>
    /// <param name="log">Where it is told.</param>
    public FullListeners(Func<IReadOnlyList<WatchedListener>> listeners, ILogger log)
    {
        _log = log;
        _listeners = listeners;
        _timer = new Timer(_ => Look(), null, LookMs, LookMs);
    }

    public static ListenerStatus Describe(ServedListener listener, string protocol, string? acceleration)
    {
        var places = listener.Places;
        return new ListenerStatus(listener.Sockets.Endpoint.ToString(), protocol, places?.InUse, acceleration)
        {
            Maintenance = [.. listener.Switches.All.Where(s => s.Word != MaintenanceWord.Configured).Select(s => $"{s.Name}: {(s.Word == MaintenanceWord.On ? "on" : "off")}")],
            MaxConnections = places is { Limit: > 0 } ? places.Limit : null,
            TurnedAway = places?.TurnedAway,
        };
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        lock (_episodes)
        {
            var listeners = _listeners();
            foreach (var gone in _episodes.Keys.Except(listeners.Select(l => l.Places)).ToArray())
            {
                _episodes.Remove(gone);
            }

            foreach (var listener in listeners)
            {
                if (!_episodes.TryGetValue(listener.Places, out var episode))
                {
                    _episodes[listener.Places] = episode = new Episode();
                }

                episode.Listener = listener;
                Look(episode);
            }
        }
    }

    private void Look(Episode episode)
    {
        var listener = episode.Listener;
        var turnedAway = listener.Places.TurnedAway;
        if (turnedAway > episode.Seen)
        {
            if (!episode.IsOn)
            {
                episode.IsOn = true;
                episode.Before = episode.Seen;
                var limit = listener.Places.Limit > 0 ? $"maxConnections of the listener is {listener.Places.Limit}" : "maxConnections of the whole server is reached";
                var fate = listener.Settings.WhenFull == WhenFull.Wait ? "wait until one closes"
                    : listener.Settings.Protocol == ListenerProtocol.Http ? "get a 503"
                    : "are closed";
                LogFull(listener.Bind, limit, fate);
            }

            episode.QuietLooks = 0;
        }
        else if (episode.IsOn && ++episode.QuietLooks >= QuietLooks)
        {
            episode.IsOn = false;
            LogOver(listener.Bind, turnedAway - episode.Before);
        }

        episode.Seen = turnedAway;
    }

    [LoggerMessage(LogLevel.Warning, "{bind} is full: {limit}; further connections {fate}")]
    private partial void LogFull(string bind, string limit, string fate);

    [LoggerMessage(LogLevel.Information, "{bind} has room again; {count} connections had found none")]
    private partial void LogOver(string bind, long count);

    private sealed class Episode
    {
        public WatchedListener Listener { get; set; } = null!;

        public bool IsOn { get; set; }

        public long Seen { get; set; }

        public long Before { get; set; }

        public int QuietLooks { get; set; }
    }
}
