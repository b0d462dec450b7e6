using System.CommandLine;
using FastLB.Configuration;

namespace FastLB.Commands;

/// <summary><c>fastlb demo</c>: a fleet of FastLB's own demo workers, so that the first try needs nothing else.</summary>
internal static class DemoCommand
{
    public const string PoolName = "demo";

    public const string Examples =
        """
        Examples:
          fastlb demo                            then, in another terminal: curl http://127.0.0.1:8000/
          fastlb demo --instances 4 --sticky     each client stays on its worker
          fastlb demo --listen 127.0.0.1:9000 --admin 127.0.0.1:9001

        The demo worker answers /, /pid, /slow?ms=N, /bytes/N, /echo, /ws, /headers, /healthz and /exit?status=N.
        Ctrl-C finishes what runs and stops.
        """;

    public static Command Create(Serve serve)
    {
        var command = new Command("demo", "See it work: a fleet of built-in demo workers behind one address.");
        var options = new ServeOptions(command, isDemo: true);
        command.SetAction(parsed =>
        {
            var plan = options.ToPlan(parsed, PoolName, WorkerCommand(), Math.Max(2, RunReader.InstancesForMax));
            var output = parsed.InvocationConfiguration;
            return plan.TryReport(output.Error, out var settings)
                ? serve(settings, plan, () => output.Output.WriteLine(Banner(settings)))
                : ExitCode.Mistake;
        });
        return command;
    }

    /// <summary>This very program; under the dotnet host that is the host with the program's file.</summary>
    private static string[] WorkerCommand()
    {
        var executable = Environment.ProcessPath ?? "fastlb";
        return Path.GetFileNameWithoutExtension(executable) == "dotnet"
            ? [executable, Path.Combine(AppContext.BaseDirectory, "fastlb.dll"), "demo-worker"]
            : [executable, "demo-worker"];
    }

    public static string Banner(Settings settings)
    {
        var listen = settings.Listeners[0].Bind;
        var curl = $"curl -s {UrlArguments(listen)}";
        var lines = new List<string>
        {
            "",
            $"FastLB runs {settings.Runs[0].Instances} demo workers behind {listen}. Try, in another terminal:",
            "",
            $"  {curl}/            again and again: the workers take turns",
            $"  kill -9 $({curl}/pid) && {curl}/    one worker dies, the next answers, FastLB starts another",
        };
        lines.Add(settings.AdminBind is { } admin
            ? $"  curl -s {UrlArguments(admin)}/status      loops, workers, counters ('fastlb status' shows a table)"
            : $"  {curl}/slow?ms=2000   a slow answer; press Ctrl-C meanwhile and it still arrives");
        lines.Add("");
        lines.Add("Ctrl-C finishes what runs and stops.");
        lines.Add("");
        return string.Join('\n', lines);
    }

    /// <summary>An address as curl takes it.</summary>
    private static string UrlArguments(Endpoint endpoint) =>
        endpoint.IsUnix ? $"--unix-socket {endpoint.UnixPath} http://localhost" : $"http://{endpoint}";
}
