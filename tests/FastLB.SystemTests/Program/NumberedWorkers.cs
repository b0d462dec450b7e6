using System.Net.Sockets;
using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>Workers that answer their number after a while, or fail, or are unwell, as the test says while they run.</summary>
internal sealed class NumberedWorkers : IDisposable
{
    private readonly ScriptedWorker[] _workers;
    private readonly int[] _requests;

    public NumberedWorkers(int count, Func<int, int> milliseconds, bool oneAtATime = false)
    {
        _requests = new int[count];
        _workers = [.. Enumerable.Range(0, count).Select(i =>
        {
            var turn = new SemaphoreSlim(oneAtATime ? 1 : int.MaxValue);
            return new ScriptedWorker((socket, head, _) => Answer(socket, head, i, milliseconds(i), turn));
        })];
    }

    public string[] Addresses => [.. _workers.Select(w => w.Address)];

    /// <summary>The number of the one that fails, or -1.</summary>
    public volatile int Failing = -1;

    public int FailingStatus { get; set; } = 500;

    public int[] Unhealthy { get; set; } = [];

    /// <summary>Requests that were no health checks.</summary>
    public int Requests(int worker) => Volatile.Read(ref _requests[worker]);

    public void Dispose()
    {
        foreach (var worker in _workers)
        {
            worker.Dispose();
        }
    }

    private async Task Answer(Socket socket, string head, int number, int milliseconds, SemaphoreSlim turn)
    {
        if (head.StartsWith("GET /health ", StringComparison.Ordinal))
        {
            await Send(socket, Unhealthy.Contains(number) ? "503 Service Unavailable" : "200 OK", "health");
            return;
        }

        Interlocked.Increment(ref _requests[number]);
        if (Failing == number)
        {
            await Send(socket, $"{FailingStatus} Failing", "fails");
            return;
        }

        await turn.WaitAsync();
        try
        {
            if (milliseconds > 0)
            {
                await Task.Delay(milliseconds);
            }
        }
        finally
        {
            turn.Release();
        }

        await Send(socket, "200 OK", HttpLoad.Text(number));
    }

    private static Task<int> Send(Socket socket, string status, string body) =>
        socket.SendAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
}
