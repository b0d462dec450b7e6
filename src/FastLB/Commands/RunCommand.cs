using System.CommandLine;
using System.CommandLine.Parsing;
using FastLB.Configuration;

namespace FastLB.Commands;

/// <summary><c>fastlb run</c>: serves in the foreground what a file or the command line says.</summary>
internal static class RunCommand
{
    public const string DefaultFile = "fastlb.yaml";
    public const string PoolName = "app";

    public const string Examples =
        """
        Examples:
          fastlb run -- node server.js                    one process per core behind http://127.0.0.1:8000/
          fastlb run --instances 4 --sticky -- dotnet App.dll
          fastlb run --listen 0.0.0.0:80 --transport unix -- node server.js
          fastlb run -c fastlb.yaml                       more listeners, pools, timeouts, limits

        Each process is told by its environment: PORT (where to listen on 127.0.0.1), ASPNETCORE_URLS, FASTLB_WORKER,
        FASTLB_SLOT, FASTLB_GENERATION. It gets requests when it answers there, and SIGTERM when it should end.

        A small fastlb.yaml:
          listeners:
            - { bind: 127.0.0.1:8000, pool: app }
          pools:
            app: { run: { command: [node, server.js], instances: max } }

        Signals: SIGTERM or Ctrl-C finishes what runs and exits 0, a second one stops at once; SIGUSR2 restarts the
        workers one after the other; SIGHUP reads the file again and changes what is new, without dropping a request; SIGUSR1 opens the access log
        anew. Exit codes: 0 stopped, 1 could not start, 2 a mistake in the file or the options.
        """;

    public static Command Create(Serve serve)
    {
        var command = new Command("run", "Run workers and balance over them, in the foreground.");
        var file = new Option<string?>("--config", "-c") { HelpName = "file", Description = $"Take everything from this file. Default: ./{DefaultFile}, when no command is given." };
        command.Add(file);
        var options = new ServeOptions(command, isDemo: false);
        var workerCommand = new Argument<string[]>("command")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = "The program to run and its arguments, after --.",
        };
        command.Add(workerCommand);
        command.SetAction(parsed =>
        {
            var plan = MakePlan(parsed, file, workerCommand, options);
            return plan.TryReport(parsed.InvocationConfiguration.Error, out var settings) ? serve(settings, plan, null) : ExitCode.Mistake;
        });
        return command;
    }

    private static Plan MakePlan(
        ParseResult parsed,
        Option<string?> file,
        Argument<string[]> workerCommand,
        ServeOptions options)
    {
        var command = parsed.GetValue(workerCommand) ?? [];
        if (UnknownOption(parsed, workerCommand) is { } unknown)
        {
            return Plan.Refused(unknown);
        }

        var path = parsed.GetValue(file);
        var given = options.GivenBesidesLogFormat(parsed);
        if (path is null && command.Length > 0)
        {
            return options.ToPlan(parsed, PoolName, command, RunReader.InstancesForMax);
        }

        if (path is null && given.Count == 0 && File.Exists(DefaultFile))
        {
            path = DefaultFile;
        }

        if (path is null)
        {
            return Plan.Refused(given.Count > 0
                ? $"there is no command to run; write it after --, like: fastlb run {given[0]} ... -- node server.js"
                : $"there is nothing to run: no command, and no {DefaultFile} in this directory. Try 'fastlb run -- node server.js', 'fastlb run -c FILE' or 'fastlb demo'");
        }

        if (command.Length > 0 || given.Count > 0)
        {
            var what = command.Length > 0 ? $"the command '{string.Join(' ', command)}'" : string.Join(", ", given);
            return Plan.Refused($"{path} says what to run, so {what} cannot be given as well; write it into the file or leave out the file");
        }

        var errors = new List<string>();
        var logFormat = options.ReadLogFormat(parsed, errors);
        return errors.Count > 0 ? Plan.Refused([.. errors]) : Plan.Of(ConfigurationFile.Load(path), logFormat) with { File = path };
    }

    /// <summary>A misspelt option would become the first word of the command; before the double dash it is a mistake.</summary>
    private static string? UnknownOption(ParseResult parsed, Argument<string[]> workerCommand)
    {
        var words = parsed.GetResult(workerCommand)?.Tokens ?? [];
        var afterDash = parsed.Tokens.SkipWhile(t => t.Type != TokenType.DoubleDash).Skip(1).Count();
        var unknown = words.Take(words.Count - Math.Min(afterDash, words.Count)).FirstOrDefault(t => t.Value.StartsWith('-'))?.Value;
        if (unknown is null)
        {
            return null;
        }

        var names = parsed.CommandResult.Command.Options.Select(o => o.Name).ToArray();
        var name = unknown.Split('=')[0];
        return NearestWord.Of(name, names) is { } nearest
            ? $"unknown option '{name}'; did you mean '{nearest}'?"
            : $"unknown option '{name}'; write -- before the command if it belongs to that: fastlb run -- node server.js";
    }
}
