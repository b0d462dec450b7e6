using System.CommandLine;
using System.Text.Json;
using FastLB.Admin;

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

    public static Command Create()
    {
        var command = new Command("status", "Show what the running FastLB does right now.");
        var json = new Option<bool>("--json") { Description = "Print the JSON of /status as it is." };
        command.Add(json);
        var options = new AdminTarget.Options(command);
        command.SetAction(parsed => options.TryRead(parsed, out var target)
            ? ShowAsync(target, parsed.GetValue(json), parsed.InvocationConfiguration).GetAwaiter().GetResult()
            : ExitCode.Mistake);
        return command;
    }

    private static async Task<int> ShowAsync(AdminTarget target, bool json, InvocationConfiguration output)
    {
        var endpoint = target.Endpoint;
        try
        {
            using var client = AdminClient.Open(target);
            var body = await client.GetStringAsync(new Uri("http://localhost/status"));
            var status = JsonSerializer.Deserialize(body, StatusJson.Default.ServerStatus) ?? throw new JsonException("null");
            output.Output.Write(json ? body + "\n" : StatusTable.Render(status));
            return ExitCode.Ok;
        }
        catch (JsonException)
        {
            output.Error.WriteLine($"what answers on {endpoint} is not the admin API of FastLB");
        }
        catch (HttpRequestException failure) when (failure.StatusCode is { } refused && AdminClient.Refusal(target, refused) is { } refusal)
        {
            output.Error.WriteLine(refusal);
            return ExitCode.Mistake;
        }
        catch (HttpRequestException failure) when (failure.StatusCode is { } status)
        {
            output.Error.WriteLine($"what answers on {endpoint} is not the admin API of FastLB (it said {(int)status})");
        }
        catch (HttpRequestException failure)
        {
            output.Error.WriteLine(AdminClient.NobodyAnswers(endpoint, failure, "status"));
        }
        catch (OperationCanceledException)
        {
            output.Error.WriteLine(AdminClient.NoAnswerInTime(endpoint));
        }

        return ExitCode.Failure;
    }
}
