using FastLB.Core.Balancing;
using FastLB.Fleet;
using FastLB.Linux;

namespace FastLB.Configuration;

/// <summary>Reads <c>run</c> of a pool: how its worker processes are started.</summary>
internal sealed class RunReader(Mistakes mistakes, string baseDirectory)
{
    public const int MaxInstances = 1024;
    public const int MaxArguments = 4096;

    private static readonly string[] Keys =
        ["command", "instances", "directory", "environment", "transport", "readyTimeout", "killTimeout"];

    /// <summary><c>max</c>: one process per core that FastLB may use.</summary>
    public static int InstancesForMax => Math.Clamp(CpuAffinity.AllowedCores().Count, 1, MaxInstances);

    public RunSettings? Read(YamlNode node, PoolSettings settings, Section pool, int drainMs)
    {
        var errorsBefore = mistakes.ErrorCount;
        if (Section.Open(node, $"run of {pool.Name}", Keys, mistakes) is not { } run)
        {
            return null;
        }

        var command = ReadCommand(run, pool);
        var read = new RunSettings
        {
            PoolName = settings.Name,
            Command = command,
            Instances = run.Number("instances", 1, MaxInstances, "max", InstancesForMax) ?? InstancesForMax,
            Directory = ReadDirectory(run),
            Environment = [.. ReadEnvironment(run)],
            Transport = run.Choice("transport", ("tcp", WorkerTransport.Tcp), ("unix", WorkerTransport.Unix)) ?? WorkerTransport.Tcp,
            ReadyTimeoutMs = run.DurationMs("readyTimeout") ?? 10_000,
            KillTimeoutMs = run.DurationMs("killTimeout") ?? 5_000,
            DrainMs = drainMs,
            OpensTogether = settings.Sticky is { IsByOurCookie: true },
        };
        if (mistakes.ErrorCount == errorsBefore && run.Find("command") is SequenceNode { Items: [var program, ..] })
        {
            WarnWithoutProgram(program, read);
        }

        return read;
    }

    /// <summary>Only doubtful: a deploy may bring the program after the configuration, and who checks may stand in another directory than who runs.</summary>
    private void WarnWithoutProgram(YamlNode at, RunSettings run)
    {
        // A zero byte has been refused as a value already, and no path holds one.
        if (run.Environment.Any(variable => variable.Value.Contains('\0', StringComparison.Ordinal)) || WorkerProgram.Find(run, Environment.GetEnvironmentVariables(), out var problem) is not null)
        {
            return;
        }

        var where = run.Directory is null && run.Command[0].Contains('/', StringComparison.Ordinal) && !Path.IsPathRooted(run.Command[0]) ? ", where FastLB is started" : "";
        mistakes.Warning(at, $"command: it cannot be started: {problem}{where}; until that is mended no worker of this pool runs");
    }

    private List<string> ReadCommand(Section run, Section pool)
    {
        const string Example = "the program and its arguments, like [node, server.js]";
        var command = new List<string>();
        if (run.Find("command") is null)
        {
            mistakes.Error(pool.FindKey("run")!, $"'command' is missing in {run.Name}; write {Example}");
        }
        else if (run.Find("command") is ScalarNode { IsNothing: false, Text.Length: > 0 } line)
        {
            // A line would need a shell's rules for blanks and quotes, and FastLB asks no shell.
            var parts = string.Join(", ", line.Text.Split(' ', StringSplitOptions.RemoveEmptyEntries));
            mistakes.Error(line, $"command: expected a list; write [{parts}]");
        }
        else
        {
            foreach (var item in run.List("command", Example, MaxArguments))
            {
                // An argument may be empty, the program may not.
                if (item is ScalarNode { IsNothing: false } word && (word.Text.Length > 0 || command.Count > 0))
                {
                    command.Add(word.Text);
                }
                else
                {
                    var what = command.Count == 0 ? "the program" : "an argument";
                    mistakes.Error(
                        item,
                        $"command: expected {what}, found {(item is ScalarNode { IsNothing: false } ? "an empty text" : item.Kind)}");
                    command.Add("?");
                }
            }
        }

        return command;
    }

    private string? ReadDirectory(Section run)
    {
        if (run.Text("directory", "a directory") is not { } text)
        {
            return null;
        }

        if (text.Text.Contains('\0', StringComparison.Ordinal))
        {
            return null;
        }

        var directory = Path.GetFullPath(text.Text, baseDirectory);
        if (!Directory.Exists(directory))
        {
            mistakes.Error(
                text,
                $"directory: there is no directory {directory}; a relative one starts where the configuration file is");
        }

        return directory;
    }

    private Dictionary<string, string> ReadEnvironment(Section run)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        switch (run.Find("environment"))
        {
            case null:
                break;
            case MappingNode variables:
                foreach (var (name, value) in variables.Entries)
                {
                    if (ProblemOf(name.Text) is { } problem)
                    {
                        mistakes.Error(name, $"environment: {problem}");
                    }
                    else if (value is not ScalarNode { IsNothing: false } text)
                    {
                        mistakes.Error(
                            value,
                            $"environment: expected a text for {name.Text}, found {value.Kind}{(value is ScalarNode ? "; write \"\" for an empty one" : "")}");
                    }
                    else
                    {
                        environment[name.Text] = text.Text;
                    }
                }

                break;
            case var other:
                mistakes.Error(
                    other,
                    $"environment: expected names with values, like {{ NODE_ENV: production }}, found {other.Kind}");
                break;
        }

        return environment;
    }

    private static string? ProblemOf(string name) =>
        name.Length == 0 || name.Contains('=', StringComparison.Ordinal) ? $"'{name}' is not the name of a variable"
        : name is "PORT" or "HOST" || name.StartsWith("FASTLB_", StringComparison.Ordinal) ? $"{name} is set by FastLB for each worker; remove it"
        : null;
}
