using System.Net.Sockets;
using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>
/// A worker that does with each request what the test tells it, byte by byte: it reads a head, and hands its connection to the
/// script, with the number of the request on that connection. It counts what reached it.
/// </summary>
internal sealed class ScriptedWorker : IDisposable
{
    private readonly SocketServer _server;
    private readonly Func<Socket, string, int, Task> _script;
    private int _requests;

    public ScriptedWorker(Func<Socket, string, int, Task> script)
    {
        _script = script;
        _server = new SocketServer(Serve);
    }

    /// <summary>A worker that always answers with these bytes, and keeps its connection or closes it.</summary>
    public ScriptedWorker(string answer, bool close = false)
        : this(async (socket, _, _) =>
        {
            await socket.SendAsync(Encoding.Latin1.GetBytes(answer));
            if (close)
            {
                socket.Shutdown(SocketShutdown.Both);
            }
        })
    {
    }

    public string Address => _server.Address;

    /// <summary>Requests whose heads came here.</summary>
    public int Requests => Volatile.Read(ref _requests);

    public static Task Answer(Socket socket, string text) =>
        socket.SendAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {text.Length}\r\n\r\n{text}"));

    public void Dispose() => _server.Dispose();

    private async Task Serve(Socket socket)
    {
        for (var number = 1; await ReadHead(socket) is { } head; number++)
        {
            Interlocked.Increment(ref _requests);
            await _script(socket, head, number);
        }
    }

    private static async Task<string?> ReadHead(Socket socket)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await socket.ReceiveAsync(one) == 0)
            {
                return null;
            }

            head.Append((char)one[0]);
        }

        return head.ToString();
    }
}
