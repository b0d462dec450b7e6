using System.Net;
using System.Net.Sockets;
using FastLB.Core.Loop;

namespace FastLB.Fleet;

/// <summary>
/// Connects to a worker until it takes the connection. Runs on the thread pool and ends with <see cref="Dispose"/>; what it found counts
/// only while the worker's process lives, which its owner checks.
/// </summary>
internal sealed class ReadyProbe : IDisposable
{
    private const int FirstPauseMs = 20;
    private const int LongestPauseMs = 200;
    private static readonly TimeSpan AttemptTimeout = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _end = new();
    private readonly EndPoint _address;
    private readonly TimeProvider _time;
    private readonly Action _answered;

    /// <param name="endpoint">Where the worker shall answer.</param>
    /// <param name="time">Measures the pauses.</param>
    /// <param name="answered">Called once, on any thread, when it answers.</param>
    public ReadyProbe(Endpoint endpoint, TimeProvider time, Action answered)
    {
        _address = endpoint.IsUnix ? new UnixDomainSocketEndPoint(endpoint.UnixPath) : new IPEndPoint(endpoint.Address, endpoint.Port);
        _time = time;
        _answered = answered;
        _ = RunAsync(_end.Token);
    }

    public void Dispose()
    {
        _end.Cancel();
        _end.Dispose();
    }

    private async Task RunAsync(CancellationToken end)
    {
        // Off the fleet's thread at once; connecting to a local address may complete in the call.
        await Task.Yield();
        var pauseMs = FirstPauseMs;
        try
        {
            while (!await AnswersAsync(end).ConfigureAwait(false))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(pauseMs), _time, end).ConfigureAwait(false);
                pauseMs = Math.Min(pauseMs * 2, LongestPauseMs);
            }

            _answered();
        }
        catch (OperationCanceledException)
        {
            // Nobody wants to know any more.
        }
    }

    private async Task<bool> AnswersAsync(CancellationToken end)
    {
        var protocol = _address.AddressFamily == AddressFamily.Unix ? ProtocolType.Unspecified : ProtocolType.Tcp;
        using var attempt = CancellationTokenSource.CreateLinkedTokenSource(end);
        attempt.CancelAfter(AttemptTimeout);
        try
        {
            using var socket = new Socket(_address.AddressFamily, SocketType.Stream, protocol);
            await socket.ConnectAsync(_address, attempt.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception) when (!end.IsCancellationRequested)
        {
            // Refused, not in time, or no descriptor for the attempt: all of them are "not yet", and readyTimeout is the bound.
            return false;
        }
    }
}
