using System.CommandLine;
using System.Net.Sockets;
using System.Text.Json;
using FastLB.Admin;
using FastLB.Configuration;

namespace FastLB.Commands;

/// <summary><c>fastlb status</c>: asks the running FastLB, through its admin address, what it is doing.</summary>
internal static class StatusCommand
{
    public const string Examples =
        """
        Examples:
          fastlb status                        asks 127.0.0.1:8001, where demo and run serve it unless told otherwise
          fastlb status --admin 127.0.0.1:9001
          fastlb status --json | jq '.pools[].workers[] | {name, state, pid, inFlight}'
          watch -n1 fastlb status

        Exit codes: 0 it answered, 1 nobody answered, 2 a mistake in the options.
        """;

    private const long MaxAnswerBytes = 64 * 1024 * 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static Command Create()
    {
        var command = new Command("status", "Show what the running FastLB does right now.");
        var admin = new Option<string>("--admin")
        {
            HelpName = "address",
            Description = "The admin address of the running FastLB.",
            DefaultValueFactory = _ => ServeOptions.DefaultAdmin,
        };
        var json = new Option<bool>("--json") { Description = "Print the JSON of /status as it is." };
        command.Add(admin);
        command.Add(json);
        command.SetAction(parsed => ShowAsync(parsed.GetRequiredValue(admin), parsed.GetValue(json), parsed.InvocationConfiguration).GetAwaiter().GetResult());
        return command;
    }

    private static async Task<int> ShowAsync(string address, bool json, InvocationConfiguration output)
    {
        if (!Address.TryParseBind(address, out var endpoint, out var problem))
        {
            output.Error.WriteLine($"--admin: {problem}");
            return ExitCode.Mistake;
        }

        try
        {
            var body = await GetStatusAsync(endpoint);
            var status = JsonSerializer.Deserialize(body, StatusJson.Default.ServerStatus) ?? throw new JsonException("null");
            output.Output.Write(json ? body + "\n" : StatusTable.Render(status));
            return ExitCode.Ok;
        }
        catch (JsonException)
        {
            output.Error.WriteLine($"what answers on {endpoint} is not the admin API of FastLB");
        }
        catch (HttpRequestException failure) when (failure.StatusCode is { } status)
        {
            output.Error.WriteLine($"what answers on {endpoint} is not the admin API of FastLB (it said {(int)status})");
        }
        catch (HttpRequestException failure)
        {
            output.Error.WriteLine($"nobody answers on {endpoint}: {failure.InnerException?.Message ?? failure.Message}. Is FastLB running? With another admin address: fastlb status --admin ADDRESS");
        }
        catch (OperationCanceledException)
        {
            output.Error.WriteLine($"{endpoint} took the connection but did not answer within {Patience.TotalSeconds} s");
        }

        return ExitCode.Failure;
    }

    private static async Task<string> GetStatusAsync(Endpoint endpoint)
    {
        using var handler = new SocketsHttpHandler
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
        using var client = new HttpClient(handler) { Timeout = Patience, MaxResponseContentBufferSize = MaxAnswerBytes };
        return await client.GetStringAsync(new Uri("http://localhost/status"));
    }
}
