using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using FastLB.Configuration;

namespace FastLB.Commands;

/// <summary>Serves a plan that has settings until it is told to stop, and answers the exit code.</summary>
/// <param name="started">Called when clients can connect.</param>
internal delegate int Serve(Settings settings, Plan plan, Action? started);

/// <summary>The command line as a whole: the commands, their help, and what a mistake in it is answered with.</summary>
internal static class CommandLine
{
    private const string Examples =
        """
        Start here:
          fastlb demo                                   see it work: demo workers behind http://127.0.0.1:8000/
          fastlb run --instances max -- node server.js  your program, once per core, behind the same address
          fastlb run -c fastlb.yaml                     what you grow into; 'fastlb check' finds every mistake in it
          fastlb status                                 what the running FastLB does right now
          fastlb explain                                which requests failed, and why
          fastlb reload                                 read the file again, without dropping a request

        'fastlb COMMAND --help' tells more about each.
        """;

    /// <param name="serve">What serves a plan of <c>demo</c> or <c>run</c>; tests look at the plan instead.</param>
    public static int Invoke(string[] arguments, TextWriter output, TextWriter error, Serve? serve = null)
    {
        // A word that starts with @ is a word, not the name of a file with more words.
        var parsed = CreateRoot(serve ?? Foreground.Run).Parse(
            arguments,
            new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0)
        {
            WriteMistakes(parsed, error);
            return ExitCode.Mistake;
        }

        // Signals belong to the commands, and a fault of FastLB's own should leave its trace.
        return parsed.Invoke(new InvocationConfiguration
        {
            Output = output,
            Error = error,
            ProcessTerminationTimeout = null,
            EnableDefaultExceptionHandler = false,
        });
    }

    private static RootCommand CreateRoot(Serve serve)
    {
        var root = new RootCommand("FastLB runs a fleet of worker processes and balances HTTP and TCP over it.") { HelpName = "fastlb" };
        root.Add(DemoCommand.Create(serve));
        root.Add(RunCommand.Create(serve));
        root.Add(CheckCommand.Create());
        root.Add(StatusCommand.Create());
        root.Add(ReloadCommand.Create());
        root.Add(WorkerCommand.Create());
        root.Add(RouteCommand.Create());
        root.Add(StrategyCommand.Create());
        root.Add(ExplainCommand.Create());

        // DemoWorker is started by Program itself, before any of this is built; here it only exists to be named.
        root.Add(new Command("demo-worker", "The process that 'fastlb demo' runs many of.") { Hidden = true });

        var help = root.Options.OfType<HelpOption>().Single();
        var plainHelp = (HelpAction)help.Action!;
        var examples = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["demo"] = DemoCommand.Examples,
            ["run"] = RunCommand.Examples,
            ["check"] = CheckCommand.Examples,
            ["status"] = StatusCommand.Examples,
            ["reload"] = ReloadCommand.Examples,
            ["worker"] = WorkerCommand.Examples,
            ["route"] = RouteCommand.Examples,
            ["strategy"] = StrategyCommand.Examples,
            ["explain"] = ExplainCommand.Examples,
        };
        var teachingHelp = new HelpWithExamples(
            plainHelp,
            command => examples.GetValueOrDefault(command.Name, Examples));
        help.Action = teachingHelp;
        root.SetAction(teachingHelp.Invoke);
        return root;
    }

    private static void WriteMistakes(ParseResult parsed, TextWriter error)
    {
        var command = parsed.CommandResult.Command;
        if (command is RootCommand && parsed.UnmatchedTokens is [var unknown, ..])
        {
            var names = command.Subcommands.Where(c => !c.Hidden).Select(c => c.Name).ToArray();
            var hint = NearestWord.Of(unknown, names) is { } nearest ? $"did you mean '{nearest}'?" : $"there are {string.Join(", ", names)}";
            error.WriteLine($"fastlb: there is no command '{unknown}'; {hint}");
            return;
        }

        foreach (var mistake in parsed.Errors)
        {
            error.WriteLine($"fastlb: {mistake.Message}");
        }

        error.WriteLine($"'fastlb {(command is RootCommand ? "" : $"{command.Name} ")}--help' shows what can be written.");
    }

    /// <summary>The generated help and then examples, because people copy those.</summary>
    private sealed class HelpWithExamples(HelpAction help, Func<Command, string> examplesOf) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            help.Invoke(parseResult);
            parseResult.InvocationConfiguration.Output.WriteLine(examplesOf(parseResult.CommandResult.Command));
            return ExitCode.Ok;
        }
    }
}
