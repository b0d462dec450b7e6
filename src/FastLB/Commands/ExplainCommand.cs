using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text.Json;
using FastLB.Admin;
using FastLB.Stories;

namespace FastLB.Commands;

/// <summary><c>fastlb explain</c>: what became of a request that failed, or which have failed of late.</summary>
internal static class ExplainCommand
{
    public const string Examples =
        """
        Examples:
          fastlb explain                       the latest requests that failed or were tried again
          fastlb explain 0f1e2d3c4b5a6978      one of them, in sentences; its id is in the answer (X-Request-Id or FastLB-Request-Id) and in the access log
          fastlb explain 0f1e2d3c4b5a6978 --json

        Exit codes: 0 it was told, 1 nobody answered or nothing is known of it, 2 a mistake in the options.
        """;

    public static Command Create()
    {
        var command = new Command("explain", "Say why a request failed.");
        var id = new Argument<string?>("id") { Arity = ArgumentArity.ZeroOrOne, Description = "The request's id; without one the latest are listed." };
        var json = new Option<bool>("--json") { Description = "Print the JSON of the admin API as it is." };
        command.Add(id);
        command.Add(json);
        var options = new AdminTarget.Options(command);
        command.SetAction(parsed => options.TryRead(parsed, out var target)
            ? TellAsync(target, parsed.GetValue(id), parsed.GetValue(json), parsed.InvocationConfiguration).GetAwaiter().GetResult()
            : ExitCode.Mistake);
        return command;
    }

    private static async Task<int> TellAsync(AdminTarget target, string? id, bool json, InvocationConfiguration output)
    {
        if (id is { Length: 0 })
        {
            output.Error.WriteLine("the id is empty; 'fastlb explain' without one lists the latest");
            return ExitCode.Mistake;
        }

        var path = id is null ? "requests?failed" : $"requests/{Uri.EscapeDataString(id)}";
        try
        {
            using var client = AdminClient.Open(target);
            using var answer = await client.GetAsync(new Uri($"http://localhost/{path}"));
            var body = await answer.Content.ReadAsStringAsync();
            if (!answer.IsSuccessStatusCode)
            {
                output.Error.WriteLine(AdminClient.Refusal(target, answer.StatusCode) ?? body.TrimEnd());
                return answer.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.BadRequest ? ExitCode.Mistake : ExitCode.Failure;
            }

            if (json)
            {
                output.Output.WriteLine(body);
            }
            else if (id is null)
            {
                WriteList(JsonSerializer.Deserialize(body, StatusJson.Default.IReadOnlyListRequestStory) ?? [], output.Output);
            }
            else
            {
                var story = JsonSerializer.Deserialize(body, StatusJson.Default.RequestStory) ?? throw new JsonException("null");
                output.Output.WriteLine(string.Join('\n', story.Story));
            }

            return ExitCode.Ok;
        }
        catch (JsonException)
        {
            output.Error.WriteLine($"what answers on {target.Endpoint} is not the admin API of FastLB");
        }
        catch (HttpRequestException failure)
        {
            output.Error.WriteLine(AdminClient.NobodyAnswers(target.Endpoint, failure, "explain"));
        }
        catch (OperationCanceledException)
        {
            output.Error.WriteLine(AdminClient.NoAnswerInTime(target.Endpoint));
        }

        return ExitCode.Failure;
    }

    private static void WriteList(IReadOnlyList<RequestStory> stories, TextWriter output)
    {
        if (stories.Count == 0)
        {
            output.WriteLine("no request has failed");
            return;
        }

        output.WriteLine($"{"ID",-18}{"TIME",-26}{"STATUS",-8}{"OUTCOME",-18}{"MS",-12}{"TRIED",-7}REQUEST");
        foreach (var story in stories)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{story.Id,-18}{story.Time,-26:yyyy-MM-dd'T'HH:mm:ss.fff'Z'}{story.Status,-8}{story.Outcome,-18}{story.TotalMs,-12}{story.Attempts.Count,-7}{story.Request}"));
        }
    }
}
