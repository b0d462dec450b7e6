using FastLB.Core.Balancing;
using FastLB.Fleet;

namespace FastLB;

/// <summary>
/// How pools come whose processes FastLB runs: these start before anybody is sent there, so that a pool with another name, or with processes instead of addresses, takes over from one
/// that serves without a client waiting for it. A pool of which no worker becomes ready refuses the whole reload, as a rolling restart stops at a version that does not come up.
/// </summary>
public sealed partial class Server
{
    /// <summary>Starts the workers of these pools beside what runs. Null when each has one; otherwise why not, and they have been told to stop.</summary>
    private async Task<string?> WhyNotReadyAsync((Pool Pool, RunSettings Run)[] arriving)
    {
        if (arriving.Length == 0)
        {
            return null;
        }

        var complete = arriving.Select(a => BecomesComplete(a.Pool, a.Run)).ToArray();
        try
        {
            StartFleet(() => _fleet.Use([.. RunsOf(_running), .. arriving]));
        }
        catch (ServerStartException failure)
        {
            return $"the fleet could not start: {failure.Message}";
        }

        LogArriving(string.Join(", ", arriving.Select(a => a.Pool.Name)));
        try
        {
            await Task.WhenAll(complete).WaitAsync(TimeSpan.FromMilliseconds(arriving.Max(a => a.Run.OpenTimeoutMs)), _endedToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // A pool goes on with those of its workers that are there.
        }
        catch (OperationCanceledException)
        {
            return "FastLB is stopping";
        }

        var problem = arriving.Where(a => a.Pool.Members.Ready.Length == 0).Select(Describe).FirstOrDefault();
        if (problem is not null)
        {
            _fleet.Use(RunsOf(_running));
        }

        return problem;
    }

    /// <summary>Completes on the fleet's thread, when as many workers are ready as are wanted.</summary>
    private static Task BecomesComplete(Pool pool, RunSettings run)
    {
        var complete = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        pool.Published = p =>
        {
            if (p.Members.Ready.Length >= run.Instances)
            {
                complete.TrySetResult();
            }
        };
        return complete.Task;
    }

    private string Describe((Pool Pool, RunSettings Run) late)
    {
        var exit = _fleet.Processes.Where(p => p.PoolName == late.Pool.Name).Select(p => p.LastExit).LastOrDefault(e => e is not null);
        return $"pool {late.Pool.Name}: no worker became ready within {late.Run.ReadyTimeoutMs / 1000.0:0.#} s (readyTimeout){(exit is null ? "" : $"; the last one {exit}")}";
    }

    [LoggerMessage(LogLevel.Information, "reloading: the workers of {pools} start first; what is served stays until they are ready")]
    private partial void LogArriving(string pools);
}
