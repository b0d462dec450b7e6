using System.Net;
using System.Net.Sockets;
using System.Text;
using FastLB.Admin;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Health;

/// <summary>What one check found.</summary>
/// <param name="IsWell">Whether the worker answered as it should.</param>
/// <param name="Problem">Why not, for the log and the status; empty when it is well.</param>
public readonly record struct ProbeResult(bool IsWell, string Problem);

/// <summary>
/// Asks one worker whether it is well: by connecting, and where a path is configured with a GET on that connection. Every check opens a connection
/// of its own, because taking one is part of being well, and closes it. Bounded in time and in the bytes that it reads. On the thread pool, never on a loop.
/// </summary>
internal sealed class WorkerProbe : IDisposable
{
    private const int MaxBodyBytes = 64 * 1024;

    private readonly HealthCheckSettings _settings;
    private readonly Endpoint _endpoint;
    private readonly ProxyVersion _proxyProtocol;
    private readonly HttpClient? _client;

    /// <param name="endpoint">Where the worker is.</param>
    /// <param name="settings">What it is asked.</param>
    /// <param name="proxyProtocol">The header that it expects first.</param>
    public WorkerProbe(Endpoint endpoint, HealthCheckSettings settings, ProxyVersion proxyProtocol = ProxyVersion.None)
    {
        _endpoint = endpoint;
        _proxyProtocol = proxyProtocol;
        _settings = settings;
        _client = settings.Path is null ? null : new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            PooledConnectionLifetime = TimeSpan.Zero,
            ConnectCallback = async (_, cancellation) => new NetworkStream(await ConnectAsync(cancellation), ownsSocket: true),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    public async Task<ProbeResult> AskAsync(CancellationToken stopping)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        patience.CancelAfter(_settings.TimeoutMs);
        try
        {
            if (_client is not null)
            {
                return await GetAsync(_client, patience.Token);
            }

            (await ConnectAsync(patience.Token)).Dispose();
            return new ProbeResult(true, "");
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            return new ProbeResult(false, $"no answer within {_settings.TimeoutMs} ms");
        }
        catch (Exception failure) when (failure is SocketException or HttpRequestException or IOException)
        {
            return new ProbeResult(false, (failure.InnerException ?? failure).Message);
        }
    }

    public void Dispose() => _client?.Dispose();

    private async Task<ProbeResult> GetAsync(HttpClient client, CancellationToken patience)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://{_settings.Host}{_settings.Path}"));
        request.Headers.UserAgent.ParseAdd("FastLB-health-check");
        request.Headers.ConnectionClose = true;
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience);
        var status = (int)answer.StatusCode;
        if (status < _settings.MinStatus || status > _settings.MaxStatus)
        {
            return new ProbeResult(false, $"status {status} instead of {_settings.MinStatus} to {_settings.MaxStatus}");
        }

        if (_settings.Body is not { } expected)
        {
            return new ProbeResult(true, "");
        }

        var bytes = new byte[MaxBodyBytes];
        await using var body = await answer.Content.ReadAsStreamAsync(patience);
        var length = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, patience);
        return bytes.AsSpan(0, length).IndexOf(Encoding.UTF8.GetBytes(expected)) >= 0
            ? new ProbeResult(true, "")
            : new ProbeResult(false, $"the body does not contain '{expected}'");
    }

    private async Task<Socket> ConnectAsync(CancellationToken patience)
    {
        var socket = new Socket(_endpoint.IsUnix ? AddressFamily.Unix : _endpoint.Address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(AdminSocket.ToEndPoint(_endpoint), patience);
            if (_proxyProtocol != ProxyVersion.None)
            {
                await socket.SendAsync(OwnHeader(socket), patience);
            }

            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The connection is our own: version 2 has a word for that, version 1 names its two ends (proxy-protocol.txt, 2.1 and 2.2).</summary>
    private byte[] OwnHeader(Socket socket)
    {
        var header = new byte[ProxyHeader.MaxVersion1Bytes];
        var (from, to) = _proxyProtocol == ProxyVersion.V1 ? (AddressOf(socket.LocalEndPoint), AddressOf(socket.RemoteEndPoint)) : default;
        return header[..ProxyHeaderWriter.Write(_proxyProtocol, from, to, header)];
    }

    private static ClientAddress AddressOf(EndPoint? end) =>
        end is IPEndPoint ip ? new ClientAddress(ip.Address.MapToIPv6().GetAddressBytes(), (ushort)ip.Port) : default;
}
