using System.CommandLine;
using System.Net;
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

    public static HttpClient Open(AdminTarget target)
    {
        var endpoint = target.Endpoint;
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
        var client = new HttpClient(handler) { Timeout = Patience, MaxResponseContentBufferSize = MaxAnswerBytes };
        if (target.Token is { } token)
        {
            client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        }

        return client;
    }

    /// <summary>What to say when it is a matter of the token; null when it is not.</summary>
    public static string? Refusal(AdminTarget target, HttpStatusCode status) => status != HttpStatusCode.Unauthorized ? null
        : target.Token is null ? $"the admin API on {target.Endpoint} asks for its token; give it with --token, {AdminTarget.TokenVariable} or -c FILE"
        : $"the admin API on {target.Endpoint} does not know this token";

    public static string NobodyAnswers(Endpoint endpoint, HttpRequestException failure, string command) =>
        $"nobody answers on {endpoint}: {failure.InnerException?.Message ?? failure.Message}. Is FastLB running? With another admin address: fastlb {command} --admin ADDRESS";

    public static string NoAnswerInTime(Endpoint endpoint) => $"{endpoint} took the connection but did not answer within {Patience.TotalSeconds} s";
}
