using System.CommandLine;
using System.Net.Sockets;
using FastLB.Admin;

namespace FastLB.Commands;

/// <summary>How commands talk to the running FastLB: HTTP to its admin address, which may be a unix socket, and bounded in time and size.</summary>
internal static class AdminClient
{
    private const long MaxAnswerBytes = 64 * 1024 * 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static Option<string> AddressOption() => new("--admin")
    {
        HelpName = "address",
        Description = "The admin address of the running FastLB.",
        DefaultValueFactory = _ => ServeOptions.DefaultAdmin,
    };

    public static HttpClient Open(Endpoint endpoint)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(
                    endpoint.IsUnix ? AddressFamily.Unix : endpoint.Address.AddressFamily,
                    SocketType.Stream,
                    ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(AdminSocket.ToEndPoint(endpoint), cancellation);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        return new HttpClient(handler) { Timeout = Patience, MaxResponseContentBufferSize = MaxAnswerBytes };
    }

    public static string NobodyAnswers(Endpoint endpoint, HttpRequestException failure, string command) =>
        $"nobody answers on {endpoint}: {failure.InnerException?.Message ?? failure.Message}. Is FastLB running? With another admin address: fastlb {command} --admin ADDRESS";

    public static string NoAnswerInTime(Endpoint endpoint) => $"{endpoint} took the connection but did not answer within {Patience.TotalSeconds} s";
}
