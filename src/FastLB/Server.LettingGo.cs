using FastLB.Core.Balancing;

namespace FastLB;

/// <summary>
/// How listeners and pools go that the configuration no longer has. It goes on while other reloads follow, and a stop takes over what is not done yet:
/// <list type="number">
/// <item>new connections are ignored, those that have begun are let through;</item>
/// <item>each loop accepts what waits and closes its socket; answers from then on say that they are the last, idle connections close within the window;</item>
/// <item>nobody is sent to the pools any more, so their workers may finish and stop;</item>
/// <item>what still runs when the drain time is over is cut off.</item>
/// </list>
/// </summary>
public sealed partial class Server
{
    private async Task LetGoAsync(ServedListener[] listeners, Pool[] pools, Settings settings)
    {
        try
        {
            // 1. What has begun.
            await DeferredClients.ComeThrough([.. listeners.Select(l => l.Sockets)], _endedToken).ConfigureAwait(false);

            // 2. The queues.
            await UnlessStoppingAsync(async () =>
            {
                OnEachLoop(i => Array.ForEach(listeners, listener => LetGoOn(i, listener, settings)));
                await EveryLoopAsync().ConfigureAwait(false);
                foreach (var listener in listeners)
                {
                    _leaving.Remove(listener);
                    RemovePathUnlessUsed(listener);
                }
            }).ConfigureAwait(false);
            if (listeners.Length > 0)
            {
                await Task.Delay(IdleWindowMs(settings), _endedToken).ConfigureAwait(false);
            }

            // 3. The workers.
            await UnlessStoppingAsync(() =>
            {
                if (_retiring.RemoveAll(r => pools.Contains(r.Pool)) > 0)
                {
                    TellFleet();
                }

                return Task.CompletedTask;
            }).ConfigureAwait(false);
            await Task.Delay(settings.DrainMs, _endedToken).ConfigureAwait(false);

            // 4. The rest.
            await UnlessStoppingAsync(() =>
            {
                OnEachLoop(i => CutOffOn(i, listeners, pools));
                return Task.CompletedTask;
            }).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // FastLB stops, and ends everything itself.
        }
    }

    /// <summary>Does it between reloads, and not at all once FastLB stops, which does it itself.</summary>
    private async Task UnlessStoppingAsync(Func<Task> act)
    {
        await _changing.WaitAsync(_endedToken).ConfigureAwait(false);
        try
        {
            if (!_draining)
            {
                await act().ConfigureAwait(false);
            }
        }
        finally
        {
            _changing.Release();
        }
    }

    private void LetGoOn(int loop, ServedListener listener, Settings settings)
    {
        listener.StopOn(loop, _threads[loop].Loop);
        listener.DrainOn(loop, _proxies[loop], IdleWindowMs(settings));
    }

    private void CutOffOn(int loop, ServedListener[] listeners, Pool[] pools)
    {
        foreach (var listener in listeners)
        {
            listener.CutOffOn(loop, _proxies[loop]);
        }

        foreach (var pool in pools)
        {
            _proxies[loop].CutOff(pool);
        }
    }

    private void RemovePathUnlessUsed(ServedListener gone)
    {
        if (!_running.Listeners.Any(l => l.Sockets.Endpoint.Equals(gone.Sockets.Endpoint)))
        {
            TryRemovePath(gone);
        }
    }

    [LoggerMessage(LogLevel.Warning, "the path of {listener} stays behind: {problem}")]
    private partial void LogPathLeft(string listener, string problem);
}
