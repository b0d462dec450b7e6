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

    /// <param name="target">Which FastLB.</param>
    /// <param name="patience">How long an answer may take; null: as long as usual.</param>
    public static HttpClient Open(AdminTarget target, TimeSpan? patience = null)
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
        var client = new HttpClient(handler) { Timeout = patience ?? Patience, MaxResponseContentBufferSize = MaxAnswerBytes };
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

    /// <summary>Asks the running FastLB for a change and tells what came of it. The exit code.</summary>
    /// <param name="options">What says which FastLB.</param>
    /// <param name="parsed">The command line.</param>
    /// <param name="path">With its query.</param>
    /// <param name="command">What was called, for the hint when nobody answers.</param>
    /// <param name="patience">How long it may take; null: as long as usual.</param>
    public static int Change(AdminTarget.Options options, ParseResult parsed, HttpMethod method, string path, string body, string command, TimeSpan? patience = null) =>
        options.TryRead(parsed, out var target)
            ? ChangeAsync(target, method, path, body, command, patience ?? Patience, parsed.InvocationConfiguration).GetAwaiter().GetResult()
            : ExitCode.Mistake;

    private static async Task<int> ChangeAsync(
        AdminTarget target, HttpMethod method, string path, string body, string command, TimeSpan patience, InvocationConfiguration output)
    {
        try
        {
            using var client = Open(target, patience);
            using var request = new HttpRequestMessage(method, new Uri($"http://localhost{path}")) { Content = new StringContent(body) };
            using var answer = await client.SendAsync(request);
            var text = Refusal(target, answer.StatusCode) ?? (await answer.Content.ReadAsStringAsync()).TrimEnd();
            (answer.IsSuccessStatusCode ? output.Output : output.Error).WriteLine(text);
            return answer.IsSuccessStatusCode ? ExitCode.Ok : ExitCode.Mistake;
        }
        catch (HttpRequestException failure)
        {
            output.Error.WriteLine(NobodyAnswers(target.Endpoint, failure, command));
        }
        catch (OperationCanceledException)
        {
            output.Error.WriteLine(NoAnswerInTime(target.Endpoint, patience));
        }

        return ExitCode.Failure;
    }

    public static string NobodyAnswers(Endpoint endpoint, HttpRequestException failure, string command) =>
        $"nobody answers on {endpoint}: {Reason(endpoint, failure)}. Is FastLB running? With another admin address: fastlb {command} --admin ADDRESS";

    /// <summary>The framework has no word for a path that is not there, and says that an address cannot be assigned.</summary>
    private static string Reason(Endpoint endpoint, HttpRequestException failure) =>
        endpoint.IsUnix && !File.Exists(endpoint.UnixPath) ? "there is no such socket" : failure.InnerException?.Message ?? failure.Message;

    public static string NoAnswerInTime(Endpoint endpoint, TimeSpan? patience = null) =>
        $"{endpoint} took the connection but did not answer within {(patience ?? Patience).TotalSeconds} s";
}
