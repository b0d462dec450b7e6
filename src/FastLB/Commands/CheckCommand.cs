using System.CommandLine;
using FastLB.Configuration;
using FastLB.Core.Proxy;

namespace FastLB.Commands;

/// <summary><c>fastlb check</c>: says every mistake of a configuration. It binds nothing and starts nothing.</summary>
internal static class CheckCommand
{
    public const string Examples =
        """
        Examples:
          fastlb check                     reads ./fastlb.yaml
          fastlb check -c /etc/fastlb.yaml && systemctl restart fastlb

        Exit codes: 0 nothing is wrong (warnings are possible), 2 at least one mistake. Mistakes are printed as
        file:line:column: what is wrong, all of them at once.
        """;

    public static Command Create()
    {
        var command = new Command("check", "Say every mistake in a configuration file, and run nothing.");
        var file = new Option<string>("--config", "-c")
        {
            HelpName = "file",
            Description = "The file to check.",
            DefaultValueFactory = _ => RunCommand.DefaultFile,
        };
        command.Add(file);
        command.SetAction(parsed =>
        {
            var output = parsed.InvocationConfiguration;
            var path = parsed.GetRequiredValue(file);
            var plan = Plan.Of(ConfigurationFile.Load(path), Logging.LogFormat.Text);
            var isRight = plan.TryReport(output.Error, out var settings);
            foreach (var warning in plan.Warnings)
            {
                output.Error.WriteLine(warning with { Text = $"warning: {warning.Text}" });
            }

            if (!isRight)
            {
                return ExitCode.Mistake;
            }

            output.Output.WriteLine($"{path} is right: {Summary(settings)}");
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>One line about what would run.</summary>
    public static string Summary(Settings settings)
    {
        var listeners = settings.Listeners.Select(l => $"{(l.Protocol == ListenerProtocol.Tcp ? "tcp" : "http")} {l.Bind}");
        var pools = settings.Pools.Select(p => settings.Runs.FirstOrDefault(r => r.PoolName == p.Name) is { } run
            ? $"{p.Name} runs {run.Instances} x '{string.Join(' ', run.Command)}'"
            : $"{p.Name} reaches {string.Join(", ", p.Reached.Select(w => w.Endpoint))}");
        return $"{string.Join(", ", listeners)}; {string.Join("; ", pools)}{(settings.AdminBind is { } admin ? $"; admin {admin}" : "")}";
    }
}
