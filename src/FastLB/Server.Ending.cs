using FastLB.Core.Loop;

namespace FastLB;

/// <summary>
/// How FastLB ends:
/// <list type="number">
/// <item>no reload begins any more, and one that is under way ends first;</item>
/// <item>new connections are ignored, those that have begun are let through;</item>
/// <item>each loop accepts what waits and closes its sockets; answers say that they are the last, idle connections close within the window;</item>
/// <item>what still runs at the deadline, or when a second signal comes, is cut off;</item>
/// <item>the workers, which have nothing to do any more, are stopped; then the loops, and the access log has its last lines.</item>
/// </list>
/// </summary>
public sealed partial class Server
{
    private const int DrainPollMs = 10;

    private async Task DrainOnceAsync(CancellationToken atOnce)
    {
        // 1. Reloads.
        _draining = true;
        await _ended.CancelAsync().ConfigureAwait(false);
        await _reloading.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        _reloading.Release();
        await _changing.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        _changing.Release();
        var (settings, _, present) = _running;
        ServedListener[] listeners = [.. present, .. _leaving];
        var open = _proxies.Sum(p => p.Metrics.ConnectionsOpen);
        LogDraining(open, settings.DrainMs / 1000.0);

        // 2. What has begun.
        await DeferredClients.ComeThrough([.. listeners.Select(l => l.Sockets)], atOnce).ConfigureAwait(false);

        // 3. The queues.
        var windowMs = IdleWindowMs(settings);
        OnEachLoop(i =>
        {
            foreach (var listener in listeners)
            {
                listener.StopOn(i, _threads[i].Loop);
            }

            _proxies[i].BeginDrain(windowMs);
        });

        // 4. The rest.
        var deadline = Environment.TickCount64 + settings.DrainMs;
        await UntilDrained(deadline, atOnce).ConfigureAwait(false);
        var left = _proxies.Sum(p => p.Metrics.ConnectionsOpen);
        if (left > 0)
        {
            if (atOnce.IsCancellationRequested)
            {
                LogCutOffAtOnce(left);
            }
            else
            {
                LogCutOff(left);
            }

            OnEachLoop(i => _proxies[i].CutOff());
            await UntilDrained(Environment.TickCount64 + 1000, CancellationToken.None).ConfigureAwait(false);
        }

        // 5. Workers, loops, log.
        _watch.Dispose();
        _full.Dispose();
        await using (atOnce.Register(() => _fleet.StopAsync(atOnce: true)).ConfigureAwait(false))
        {
            await _fleet.StopAsync(atOnce.IsCancellationRequested).ConfigureAwait(false);
        }

        foreach (var thread in _threads)
        {
            thread.Stop();
        }

        _accessLog?.Dispose();
        foreach (var listener in listeners)
        {
            TryRemovePath(listener);
        }
    }

    private void TryRemovePath(ServedListener listener)
    {
        try
        {
            listener.RemovePath();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            LogPathLeft(listener.Sockets.Endpoint.ToString(), failure.Message);
        }
    }

    private async Task UntilDrained(long deadline, CancellationToken atOnce)
    {
        while (!_proxies.All(p => p.IsDrained) && Environment.TickCount64 < deadline && !atOnce.IsCancellationRequested)
        {
            await Task.Delay(DrainPollMs, CancellationToken.None).ConfigureAwait(false);
        }
    }

    [LoggerMessage(LogLevel.Information, "draining: {open} connections are open and have up to {seconds} s to finish; a second signal stops at once")]
    private partial void LogDraining(long open, double seconds);

    [LoggerMessage(LogLevel.Warning, "the drain time is over: {left} connections are cut off")]
    private partial void LogCutOff(long left);

    [LoggerMessage(LogLevel.Warning, "stopping at once: {left} connections are cut off")]
    private partial void LogCutOffAtOnce(long left);
}
