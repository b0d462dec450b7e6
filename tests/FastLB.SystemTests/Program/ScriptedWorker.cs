using System.Net;
using System.Net.Sockets;
using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>
/// A worker that does with each request what the test tells it, byte by byte: it reads a head, and hands its connection to the
/// script, with the number of the request on that connection. It counts what reached it.
/// </summary>
internal sealed class ScriptedWorker : IDisposable
{
    private readonly TcpListener _listener;
    private readonly Func<Socket, string, int, Task> _script;
    private int _requests;

    public ScriptedWorker(Func<Socket, string, int, Task> script, int port = 0)
    {
        _script = script;
        _listener = new TcpListener(IPAddress.Loopback, port);
        _listener.Start();
        Address = $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";
        _ = AcceptAll();
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

    public string Address { get; }

    /// <summary>Requests whose heads came here.</summary>
    public int Requests => Volatile.Read(ref _requests);

    public static Task Answer(Socket socket, string text) =>
        socket.SendAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {text.Length}\r\n\r\n{text}"));

    public static void Reset(Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Close();
    }

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAll()
    {
        try
        {
            while (true)
            {
                _ = Serve(await _listener.AcceptSocketAsync());
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task Serve(Socket socket)
    {
        using var closing = socket;
        try
        {
            for (var number = 1; await ReadHead(socket) is { } head; number++)
            {
                Interlocked.Increment(ref _requests);
                await _script(socket, head, number);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // FastLB or the script closed the connection.
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
