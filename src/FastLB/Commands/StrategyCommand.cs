using System.CommandLine;
using System.Text.Json;
using FastLB.Admin;
using FastLB.Configuration;
using FastLB.Core.Balancing;

namespace FastLB.Commands;

/// <summary><c>fastlb strategy</c>: lets the running FastLB choose workers by another strategy, without a restart.</summary>
internal static class StrategyCommand
{
    public const string Examples =
        """
        Examples:
          fastlb strategy app least-connections
          fastlb strategy app consistent-hash --key header:X-User
          fastlb strategy app consistent-hash --key cookie:sid --load-bound 1.5 --admin 127.0.0.1:9001

        It lasts until FastLB stops; write it into the configuration to keep it.
        Exit codes: 0 done, 1 nobody answered, 2 a mistake in the options or refused.
        """;

    public static Command Create()
    {
        var command = new Command("strategy", "Choose a pool's workers by another strategy while requests flow.");
        var pool = new Argument<string>("pool") { Description = "The pool." };
        var name = new Argument<string>("strategy") { Description = string.Join(", ", Strategies.Names) };
        var key = new Option<string>("--key") { HelpName = "key", Description = $"What consistent-hash goes by: {KeyText.Expected}." };
        var bound = new Option<string>("--load-bound")
        {
            HelpName = "factor",
            Description = "How far above the average load consistent-hash loads a worker, from 1 on, or none.",
        };
        command.Add(pool);
        command.Add(name);
        command.Add(key);
        command.Add(bound);
        var admin = new AdminTarget.Options(command);
        command.SetAction(parsed => AdminClient.Change(
            admin,
            parsed,
            HttpMethod.Put,
            $"/pools/{Uri.EscapeDataString(parsed.GetRequiredValue(pool))}/strategy",
            JsonSerializer.Serialize(
                new StrategyWish(parsed.GetRequiredValue(name), parsed.GetValue(key), Json(parsed.GetValue(bound))), StatusJson.Default.StrategyWish),
            "strategy"));
        return command;
    }

    private static JsonElement? Json(string? text) =>
        text is null ? null : JsonElement.Parse($"\"{JsonEncodedText.Encode(text)}\"");
}
