using FastLB.Core.Balancing;
using FastLB.Fleet;

namespace FastLB;

/// <summary>
/// How pools come whose processes FastLB runs: these start before anybody is sent there, so that a pool with another name, or with processes instead of addresses, takes over from one
/// that serves without a client waiting for it. A pool of which no worker becomes ready refuses the whole reload, as a rolling restart stops at a version that does not come up. Meanwhile
/// operators may change what runs, and a newer configuration takes the place of the one that waits.
/// </summary>
public sealed partial class Server
{
    private const int ArrivalPollMs = 20;

    /// <summary>After so many starts of each of its workers a pool of which none became ready is given up before its time.</summary>
    private const int HopelessRestarts = 3;

    /// <summary>Starts the workers of pools that come beside what runs. Null, or why not. While nobody else changes anything.</summary>
    private string? WhyNotStarted(ReloadPlan plan)
    {
        // Workers of a pool that is on its way out and comes back are there already.
        _arriving =
        [
            .. plan.Pools
                .Where(p => p is { Run: not null, RunBefore: null } && _retiring.TrueForAll(r => r.Run.PoolName != p.Name))
                .Select(p => (MakePool(p.Settings!, _threads.Length, before: null), p.Run!)),
        ];
        if (_arriving.Length == 0)
        {
            return null;
        }

        try
        {
            StartFleet(() => _fleet.Use(RunsOf(_running)));
        }
        catch (ServerStartException failure)
        {
            _arriving = [];
            return $"the fleet could not start: {failure.Message}";
        }

        LogArriving(string.Join(", ", _arriving.Select(a => a.Pool.Name)));
        return null;
    }

    /// <summary>Waits until each pool that comes has all of its workers, or those that are ready when their time is over. Null when each has one; otherwise why not.</summary>
    /// <param name="number">Which reload this is, to know of a newer one.</param>
    private async Task<string?> WhyNotReadyAsync(int number)
    {
        var arriving = _arriving;
        var began = Environment.TickCount64;
        while (arriving.Any(a => !IsComplete(a)))
        {
            if (_draining)
            {
                return "FastLB is stopping";
            }

            if (Volatile.Read(ref _asked) != number)
            {
                return $"another configuration came before the workers of {string.Join(", ", arriving.Where(a => !IsComplete(a)).Select(a => a.Pool.Name))} were ready";
            }

            var tookMs = Environment.TickCount64 - began;
            if (arriving.FirstOrDefault(a => a.Pool.Members.Ready.Length == 0 && (tookMs >= a.Run.OpenTimeoutMs || IsHopeless(a.Pool))) is { Pool: not null } late)
            {
                return Describe(late.Pool, tookMs);
            }

            if (arriving.All(a => IsComplete(a) || tookMs >= a.Run.OpenTimeoutMs))
            {
                break;
            }

            await Task.Delay(ArrivalPollMs, CancellationToken.None).ConfigureAwait(false);
        }

        return null;
    }

    private void LetArrivingGo()
    {
        if (_arriving.Length > 0)
        {
            _arriving = [];
            TellFleet();
        }
    }

    private static bool IsComplete((Pool Pool, RunSettings Run) arriving) => arriving.Pool.Members.Ready.Length >= arriving.Run.Instances;

    /// <summary>Its workers end again and again before they are ready.</summary>
    private bool IsHopeless(Pool pool)
    {
        var processes = _fleet.Processes.Where(p => p.PoolName == pool.Name).ToArray();
        return processes.Length > 0 && processes.All(p => p.Restarts >= HopelessRestarts);
    }

    private string Describe(Pool late, long tookMs)
    {
        var exit = _fleet.Processes.Where(p => p.PoolName == late.Name).Select(p => p.LastExit).LastOrDefault(e => e is not null);
        return $"pool {late.Name}: no worker is ready after {tookMs / 1000.0:0.0} s{(exit is null ? " (readyTimeout)" : $"; the last one {exit}")}";
    }

    [LoggerMessage(LogLevel.Information, "reloading: the workers of {pools} start first; what is served stays until they are ready")]
    private partial void LogArriving(string pools);
}
