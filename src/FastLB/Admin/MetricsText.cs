using System.Globalization;
using System.Text;

namespace FastLB.Admin;

/// <summary>
/// The status in the Prometheus text exposition format 0.0.4: each metric with its HELP and TYPE once, then its samples. Counters
/// end in <c>_total</c>, units are seconds and bytes.
/// </summary>
internal static class MetricsText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public static string Render(ServerStatus status)
    {
        var text = new Exposition();

        text.Begin("fastlb_build_info", "gauge", "Always 1; the labels say which FastLB runs on which engine.");
        text.Sample(1, ("version", status.Version), ("engine", status.Engine));
        text.Begin("fastlb_start_time_seconds", "gauge", "When FastLB started, in seconds since 1970.");
        text.Sample(status.StartedAt.ToUnixTimeMilliseconds() / 1000.0);
        text.Begin("fastlb_draining", "gauge", "1 while FastLB finishes what runs and takes nothing new.");
        text.Sample(status.Draining ? 1 : 0);

        RenderTotals(text, status.Totals);
        RenderLatency(text, status.Totals.Latency);
        if (status.AccessLog is { } accessLog)
        {
            text.Begin("fastlb_access_log_lines_total", "counter", "Lines that the access log took.");
            text.Sample(accessLog.Written);
            text.Begin("fastlb_access_log_dropped_total", "counter", "Lines of the access log that were lost, because it took them too slowly or not at all.");
            text.Sample(accessLog.Dropped);
        }

        RenderLoops(text, status.Loops);
        RenderListeners(text, status.Listeners);
        RenderListenerLimits(text, status.Listeners);
        RenderPools(text, status.Pools);
        RenderWorkers(text, status.Pools);
        return text.ToString();
    }

    private static void RenderTotals(Exposition text, TotalsStatus totals)
    {
        text.Begin("fastlb_requests_total", "counter", "Requests and tunnels that clients began.");
        text.Sample(totals.Requests);
        text.Begin("fastlb_connections_accepted_total", "counter", "Client connections that were accepted.");
        text.Sample(totals.ConnectionsAccepted);
        text.Begin("fastlb_connections_refused_total", "counter", "Client connections that were not taken: their client had as many as it may, their PROXY header was missing, wrong or not to be believed, or there were too many to be told.");
        text.Sample(totals.ConnectionsRefused);
        text.Begin("fastlb_connections_open", "gauge", "Client connections that are open.");
        text.Sample(totals.ConnectionsOpen);
        text.Begin("fastlb_received_bytes_total", "counter", "Bytes that clients sent.");
        text.Sample(totals.BytesFromClients);
        text.Begin("fastlb_sent_bytes_total", "counter", "Bytes that were sent to clients.");
        text.Sample(totals.BytesToClients);
        text.Begin("fastlb_moved_bytes_total", "counter", "Of the bytes in both directions, those that the kernel moved past FastLB's memory.");
        text.Sample(totals.BytesMoved);
        text.Begin("fastlb_responses_total", "counter", "Answers to clients by the class of their status.");
        foreach (var (statusClass, count) in totals.Responses)
        {
            text.Sample(count, ("class", statusClass));
        }

        text.Begin(
            "fastlb_errors_total",
            "counter",
            "Requests that ended other than by a worker's whole answer, by cause.");
        foreach (var (cause, count) in totals.Errors)
        {
            text.Sample(count, ("cause", cause));
        }
    }

    private static void RenderLatency(Exposition text, LatencyStatus latency)
    {
        text.Begin(
            "fastlb_request_duration_seconds",
            "histogram",
            "HTTP requests that were answered in full: from the request's head until the kernel had the answer's last byte.");
        foreach (var bound in latency.AtMost)
        {
            text.Part("_bucket", bound.Count, ("le", bound.Seconds.ToString("R", CultureInfo.InvariantCulture)));
        }

        text.Part("_bucket", latency.Count, ("le", "+Inf"));
        text.Part("_sum", latency.SumSeconds);
        text.Part("_count", latency.Count);
    }

    private static void RenderLoops(Exposition text, IReadOnlyList<LoopStatus> loops)
    {
        Render("fastlb_loop_connections", "gauge", "Client connections that are open on a loop.", l => l.Connections);
        Render(
            "fastlb_loop_upstream_connections",
            "gauge",
            "Worker connections that are open on a loop, idle ones included.",
            l => l.UpstreamConnections);
        Render("fastlb_loop_requests_total", "counter", "Requests and tunnels that a loop began.", l => l.Requests);
        Render(
            "fastlb_loop_allocated_bytes_total",
            "counter",
            "Managed memory that a loop's thread allocated.",
            l => l.AllocatedBytes);
        Render("fastlb_loop_buffers_rented", "gauge", "Buffers that are in use on a loop.", l => l.BuffersRented);
        Render(
            "fastlb_loop_accept_pauses_total",
            "counter",
            "How often a loop stopped accepting for a moment because descriptors or memory had run out.",
            l => l.AcceptPauses);

        void Render(string name, string type, string help, Func<LoopStatus, long> value)
        {
            text.Begin(name, type, help);
            foreach (var loop in loops)
            {
                text.Sample(value(loop), ("loop", loop.Index.ToString(CultureInfo.InvariantCulture)));
            }
        }
    }

    private static void RenderListeners(Exposition text, IReadOnlyList<ListenerStatus> listeners)
    {
        text.Begin("fastlb_listener_connections", "gauge", "Client connections that are open on a listener.");
        foreach (var listener in listeners)
        {
            if (listener.Connections is { } connections)
            {
                text.Sample(connections, ("bind", listener.Bind), ("protocol", listener.Protocol));
            }
        }
    }

    private static void RenderListenerLimits(Exposition text, IReadOnlyList<ListenerStatus> listeners)
    {
        if (listeners.Any(l => l.MaxConnections is not null))
        {
            text.Begin("fastlb_listener_max_connections", "gauge", "Client connections that a listener may have at once.");
            foreach (var listener in listeners.Where(l => l.MaxConnections is not null))
            {
                text.Sample(listener.MaxConnections!.Value, ("bind", listener.Bind), ("protocol", listener.Protocol));
            }
        }

        if (listeners.Any(l => l.TurnedAway is not null))
        {
            text.Begin("fastlb_listener_turned_away_total", "counter", "Connections that found a listener full, and were answered, closed or left to wait.");
            foreach (var listener in listeners.Where(l => l.TurnedAway is not null))
            {
                text.Sample(listener.TurnedAway!.Value, ("bind", listener.Bind), ("protocol", listener.Protocol));
            }
        }
    }

    private static void RenderPools(Exposition text, IReadOnlyList<PoolStatus> pools)
    {
        text.Begin("fastlb_pool_requests_total", "counter", "Requests and tunnels that went to a pool.");
        foreach (var pool in pools)
        {
            text.Sample(pool.Requests, ("pool", pool.Name));
        }

        text.Begin(
            "fastlb_pool_errors_total",
            "counter",
            "Requests to a pool that ended other than by a worker's whole answer, by cause.");
        foreach (var pool in pools)
        {
            foreach (var (cause, count) in pool.Errors)
            {
                text.Sample(count, ("pool", pool.Name), ("cause", cause));
            }
        }

        RenderPool(text, pools, "fastlb_pool_waiting", "gauge", "Requests that wait for a worker of a pool.", p => p.Waiting);
        RenderPool(text, pools, "fastlb_pool_in_flight", "gauge", "Requests and tunnels at a pool's workers that have not ended.", p => p.InFlight);
        RenderPool(text, pools, "fastlb_pool_in_flight_limit", "gauge", "The most that may be at a pool's workers.", p => p.InFlightLimit);
        RenderPool(text, pools, "fastlb_pool_fallbacks_total", "counter", "Requests that somebody else answered because a pool could not.", p => p.Fallbacks);
        RenderPool(text, pools, "fastlb_pool_panicking", "gauge", "1 while so many workers of a pool are unfit that all are used.", p => p.Panicking ? 1 : 0);
        RenderPool(text, pools, "fastlb_pool_breaker_open", "gauge", "1 while a pool's own breaker lets nothing through.", p => IsOpen(p.Breaker));
        RenderPool(text, pools, "fastlb_pool_capacity_requests_per_second", "gauge", "What a pool could serve, estimated from the times of its answers.", p => p.Capacity?.MostPerSecond);
        RenderPool(text, pools, "fastlb_pool_use_ratio", "gauge", "The share of that which is used.", p => p.Capacity?.Use);

        RenderPool(text, pools, "fastlb_pool_upgrades_open", "gauge", "Upgraded connections of a pool that are open.", p => p.Upgrades.Open);
        RenderPool(text, pools, "fastlb_pool_upgrades_total", "counter", "Connections of a pool that were upgraded.", p => p.Upgrades.Opened);
        RenderPool(text, pools, "fastlb_pool_websockets_total", "counter", "Of those, the WebSockets.", p => p.Upgrades.WebSockets);
        RenderPool(text, pools, "fastlb_pool_websockets_told_to_close_total", "counter", "WebSockets that were told to close, because FastLB or their worker stopped or their lifetime was over.", p => p.Upgrades.ToldToClose);
        RenderDirections(text, pools, "fastlb_pool_upgrade_bytes_total", "Bytes of upgraded connections.", p => (p.Upgrades.BytesFromClients, p.Upgrades.BytesToClients));
        RenderDirections(
            text, pools, "fastlb_pool_websocket_messages_total", "Whole messages of WebSockets.", p => (p.Upgrades.MessagesFromClients, p.Upgrades.MessagesToClients));

        text.Begin("fastlb_pool_workers", "gauge", "Workers of a pool by state.");
        foreach (var pool in pools)
        {
            foreach (var state in pool.Workers.GroupBy(w => w.State))
            {
                text.Sample(state.Count(), ("pool", pool.Name), ("state", state.Key));
            }
        }
    }

    /// <summary>A value of each pool that has one.</summary>
    private static void RenderPool(Exposition text, IReadOnlyList<PoolStatus> pools, string name, string type, string help, Func<PoolStatus, double?> value)
    {
        if (pools.All(p => value(p) is null))
        {
            return;
        }

        text.Begin(name, type, help);
        foreach (var pool in pools)
        {
            if (value(pool) is { } known)
            {
                text.Sample(known, ("pool", pool.Name));
            }
        }
    }

    private static void RenderDirections(
        Exposition text, IReadOnlyList<PoolStatus> pools, string name, string help, Func<PoolStatus, (long FromClients, long ToClients)> values)
    {
        text.Begin(name, "counter", help);
        foreach (var pool in pools)
        {
            text.Sample(values(pool).FromClients, ("pool", pool.Name), ("direction", "from-clients"));
            text.Sample(values(pool).ToClients, ("pool", pool.Name), ("direction", "to-clients"));
        }
    }

    /// <summary>1 or 0; null without a breaker.</summary>
    private static double? IsOpen(string? breaker) => breaker is null ? null : breaker is "open" or "forced-open" ? 1 : 0;

    private static void RenderWorkers(Exposition text, IReadOnlyList<PoolStatus> pools)
    {
        Render(
            "fastlb_worker_ready",
            "gauge",
            "1 when a worker takes new requests.",
            w => w.State == WorkerStatus.Ready ? 1 : 0);
        Render(
            "fastlb_worker_in_flight",
            "gauge",
            "Requests and tunnels at a worker that have not ended.",
            w => w.InFlight);
        Render(
            "fastlb_worker_requests_total",
            "counter",
            "Requests and tunnels that a worker's process was sent.",
            w => w.Requests);
        Render(
            "fastlb_worker_failures_total",
            "counter",
            "Of those, the ones that the worker failed.",
            w => w.Failures);
        Render("fastlb_worker_weight", "gauge", "A worker's share beside the others'.", w => w.Weight);
        Render("fastlb_worker_breaker_open", "gauge", "1 while a worker's breaker lets nothing through; 0 without one.", w => (long)(IsOpen(w.Breaker) ?? 0));
        Render("fastlb_worker_generation", "gauge", "How many processes the slot has had.", w => w.Generation);
        Render(
            "fastlb_worker_restarts_total",
            "counter",
            "How often the slot's process was replaced.",
            w => w.Restarts);

        void Render(string name, string type, string help, Func<WorkerStatus, long> value)
        {
            text.Begin(name, type, help);
            foreach (var pool in pools)
            {
                // A slot may hold two processes while one replaces the other, and a series may appear only once.
                foreach (var worker in pool.Workers.GroupBy(w => w.Slot).Select(slot => slot.MaxBy(w => (w.State == WorkerStatus.Ready, w.Generation))!))
                {
                    text.Sample(
                        value(worker),
                        ("pool", pool.Name),
                        ("slot", worker.Slot.ToString(CultureInfo.InvariantCulture)));
                }
            }
        }
    }

    /// <summary>Lines of the format under construction.</summary>
    private sealed class Exposition
    {
        private readonly StringBuilder _text = new(4096);
        private string _name = "";

        public void Begin(string name, string type, string help)
        {
            _name = name;
            _text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");
        }

        public void Sample(double value, params ReadOnlySpan<(string Name, string Value)> labels) => Part("", value, labels);

        /// <summary>A sample of one of the series that a histogram consists of.</summary>
        public void Part(string suffix, double value, params ReadOnlySpan<(string Name, string Value)> labels)
        {
            _text.Append(_name).Append(suffix);
            for (var i = 0; i < labels.Length; i++)
            {
                _text.Append(i == 0 ? '{' : ',').Append(labels[i].Name).Append("=\"").Append(Escaped(labels[i].Value)).Append('"');
            }

            _text.Append(labels.Length > 0 ? "} " : " ").Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
        }

        public override string ToString() => _text.ToString();

        private static string Escaped(string value) => value
            .Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal);
    }
}
