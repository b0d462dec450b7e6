using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace FastLB.SystemTests;

/// <summary>What a raw client read: a status, headers by lower-case name, a body.</summary>
internal sealed record RawAnswer(int Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);
}

/// <summary>
/// A client that sends exactly the bytes it is told and reads answers in the simplest way, so that nothing stands between
/// the test and the wire. It knows lengths, chunks and the end of the connection.
/// </summary>
internal sealed class RawClient : IDisposable
{
    private readonly Socket _socket;
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;

    private RawClient(Socket socket) => _socket = socket;

    public static async Task<RawClient> Connect(EndPoint endpoint)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 20_000 };
        if (endpoint is IPEndPoint)
        {
            socket.NoDelay = true;
        }

        await socket.ConnectAsync(endpoint);
        return new RawClient(socket);
    }

    public Task Send(string text) => Send(Encoding.Latin1.GetBytes(text));

    public async Task Send(ReadOnlyMemory<byte> bytes) => await _socket.SendAsync(bytes, SocketFlags.None, Limit());

    public void EndSending() => _socket.Shutdown(SocketShutdown.Send);

    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Dispose();
    }

    public async Task<RawAnswer> Get(string path, string headers = "")
    {
        await Send($"GET {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
        return await Read();
    }

    /// <summary>Reads one final answer; informational ones before it are passed over unless asked for.</summary>
    public async Task<RawAnswer> Read(bool isHead = false, bool informational = false)
    {
        while (true)
        {
            var answer = await ReadOne(isHead);
            if (answer.Status >= 200 || informational)
            {
                return answer;
            }
        }
    }

    /// <summary>The bytes until the other side ends; null instead of a clean end when it resets.</summary>
    public async Task<byte[]?> ReadToEnd()
    {
        var bytes = new List<byte>();
        try
        {
            while (_start < _end || await Fill())
            {
                bytes.AddRange(_buffer.AsSpan(_start, _end - _start));
                _start = _end;
            }

            return [.. bytes];
        }
        catch (SocketException)
        {
            return null;
        }
    }

    public async Task<byte[]> ReadBytes(int count)
    {
        var bytes = new byte[count];
        for (var i = 0; i < count; i++)
        {
            bytes[i] = await ReadByte();
        }

        return bytes;
    }

    public void Dispose() => _socket.Dispose();

    private static CancellationToken Limit() => new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token;

    /// <summary>Reads an answer of any length, handing on its body piece by piece. The answer is its status.</summary>
    public async Task<int> ReadLarge(Action<ReadOnlyMemory<byte>> take)
    {
        var (status, headers) = await ReadHead();
        await ReadBody(headers, take);
        return status;
    }

    private async Task<RawAnswer> ReadOne(bool isHead)
    {
        var (status, headers) = await ReadHead();
        var body = new List<byte>();
        if (!isHead && status is not (< 200 or 204 or 304))
        {
            await ReadBody(headers, bytes => body.AddRange(bytes.Span));
        }

        return new RawAnswer(status, headers, [.. body]);
    }

    private async Task<(int Status, Dictionary<string, string> Headers)> ReadHead()
    {
        var statusLine = await ReadLine();
        var status = int.Parse(statusLine.Split(' ')[1], CultureInfo.InvariantCulture);
        var headers = new Dictionary<string, string>();
        for (var line = await ReadLine(); line.Length > 0; line = await ReadLine())
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var name = line[..colon].ToLowerInvariant();
            var value = line[(colon + 1)..].Trim();
            headers[name] = headers.TryGetValue(name, out var before) ? $"{before}, {value}" : value;
        }

        return (status, headers);
    }

    private async Task ReadBody(Dictionary<string, string> headers, Action<ReadOnlyMemory<byte>> take)
    {
        if (headers.TryGetValue("content-length", out var length))
        {
            await Copy(long.Parse(length, CultureInfo.InvariantCulture), take);
            return;
        }

        if (!headers.ContainsKey("transfer-encoding"))
        {
            take(await ReadToEnd() ?? throw new IOException("the connection was reset in the middle of a body"));
            return;
        }

        while (true)
        {
            var size = int.Parse(await ReadLine(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (size == 0)
            {
                while ((await ReadLine()).Length > 0)
                {
                }

                return;
            }

            await Copy(size, take);
            Assert.Equal("", await ReadLine());
        }
    }

    private async Task Copy(long count, Action<ReadOnlyMemory<byte>> take)
    {
        while (count > 0)
        {
            if (_start == _end && !await Fill())
            {
                throw new IOException("the connection ended in the middle of a body");
            }

            var length = (int)Math.Min(count, _end - _start);
            take(_buffer.AsMemory(_start, length));
            _start += length;
            count -= length;
        }
    }

    private async Task<string> ReadLine()
    {
        var line = new StringBuilder();
        while (true)
        {
            var character = (char)await ReadByte();
            if (character == '\n')
            {
                Assert.True(line.Length > 0 && line[^1] == '\r', "a line ends with CRLF");
                return line.ToString(0, line.Length - 1);
            }

            line.Append(character);
        }
    }

    private async ValueTask<byte> ReadByte()
    {
        if (_start == _end && !await Fill())
        {
            throw new IOException("the connection ended in the middle of an answer");
        }

        return _buffer[_start++];
    }

    private async Task<bool> Fill()
    {
        _start = 0;
        _end = await _socket.ReceiveAsync(_buffer, SocketFlags.None, Limit());
        return _end > 0;
    }
}
