using System.CommandLine;
using System.Net.Sockets;
using FastLB.Admin;
using FastLB.Configuration;

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

    /// <summary>Asks the running FastLB for a change and tells what came of it. The exit code.</summary>
    /// <param name="address">The admin address, as it was written.</param>
    /// <param name="path">With its query.</param>
    /// <param name="command">What was called, for the hint when nobody answers.</param>
    public static int Change(string address, HttpMethod method, string path, string body, string command, InvocationConfiguration output) =>
        ChangeAsync(address, method, path, body, command, output).GetAwaiter().GetResult();

    private static async Task<int> ChangeAsync(string address, HttpMethod method, string path, string body, string command, InvocationConfiguration output)
    {
        if (!Address.TryParseBind(address, out var endpoint, out var problem))
        {
            output.Error.WriteLine($"--admin: {problem}");
            return ExitCode.Mistake;
        }

        try
        {
            using var client = Open(endpoint);
            using var request = new HttpRequestMessage(method, new Uri($"http://localhost{path}")) { Content = new StringContent(body) };
            using var answer = await client.SendAsync(request);
            var text = (await answer.Content.ReadAsStringAsync()).TrimEnd();
            (answer.IsSuccessStatusCode ? output.Output : output.Error).WriteLine(text);
            return answer.IsSuccessStatusCode ? ExitCode.Ok : ExitCode.Mistake;
        }
        catch (HttpRequestException failure)
        {
            output.Error.WriteLine(NobodyAnswers(endpoint, failure, command));
        }
        catch (OperationCanceledException)
        {
            output.Error.WriteLine(NoAnswerInTime(endpoint));
        }

        return ExitCode.Failure;
    }

    public static string NobodyAnswers(Endpoint endpoint, HttpRequestException failure, string command) =>
        $"nobody answers on {endpoint}: {failure.InnerException?.Message ?? failure.Message}. Is FastLB running? With another admin address: fastlb {command} --admin ADDRESS";

    public static string NoAnswerInTime(Endpoint endpoint) => $"{endpoint} took the connection but did not answer within {Patience.TotalSeconds} s";
}
