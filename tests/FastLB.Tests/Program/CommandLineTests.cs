using FastLB.Commands;
using FastLB.Core.Balancing;
using FastLB.Fleet;
using FastLB.Logging;

// A package of the benchmarks has a namespace of that name.
using FastLbCommandLine = FastLB.Commands.CommandLine;

namespace FastLB.Tests.Programs;

public sealed class CommandLineTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_command_after_the_dashes_gets_a_listener_and_a_pool_of_its_own()
    {
        var settings = Planned("run", "--", "node", "server.js", "--listen", "x", "@file").Settings!;

        Assert.Equal("127.0.0.1:8000", Assert.Single(settings.Listeners).Bind.ToString());
        Assert.Equal("127.0.0.1:8001", settings.AdminBind!.ToString());
        var pool = Assert.Single(settings.Pools);
        Assert.Equal((pool.Name, "two-choices", null), (settings.Listeners[0].Routes[0].PoolName, pool.Strategy.Name, pool.Sticky));
        var run = Assert.Single(settings.Runs);
        Assert.Equal(pool.Name, run.PoolName);
        Assert.Equal(["node", "server.js", "--listen", "x", "@file"], run.Command);
        Assert.Equal(Configuration.RunReader.InstancesForMax, run.Instances);
    }

    [Fact]
    public void Every_option_of_run_is_followed()
    {
        var plan = Planned(
            "run", "--listen", "0.0.0.0:80", "--admin", "unix:/run/admin.sock", "--instances", "3", "--strategy", "round-robin", "--sticky", "SID",
            "--transport", "unix", "--directory", _directory, "--loops", "2", "--engine", "epoll", "--log-format", "json", "--", "node");

        var settings = plan.Settings!;
        Assert.Equal(LogFormat.Json, plan.LogFormat);
        Assert.Equal(("0.0.0.0:80", "unix:/run/admin.sock"), (settings.Listeners[0].Bind.ToString(), settings.AdminBind!.ToString()));
        Assert.Equal((3, WorkerTransport.Unix, _directory), (settings.Runs[0].Instances, settings.Runs[0].Transport, settings.Runs[0].Directory));
        Assert.Equal(("round-robin", new StickySettings("SID", null)), (settings.Pools[0].Strategy.Name, settings.Pools[0].Sticky));
        Assert.Equal((2, EngineChoice.Epoll), (settings.Loops, settings.Engine));
    }

    [Fact]
    public void Sticky_without_a_name_takes_the_usual_cookie() =>
        Assert.Equal(new StickySettings("FASTLB", null), Planned("run", "--sticky", "--", "node").Settings!.Pools[0].Sticky);

    [Theory]
    [InlineData(true, "run", "--sticky", "--", "node")]
    [InlineData(false, "run", "--", "node")]
    [InlineData(true, "demo", "--sticky")]
    public void Workers_whose_sessions_stick_open_together(bool openTogether, params string[] arguments) =>
        Assert.Equal(openTogether, Planned(arguments).Settings!.Runs[0].OpensTogether);

    [Fact]
    public void The_admin_api_can_be_switched_off() =>
        Assert.Null(Planned("run", "--admin", "none", "--", "node").Settings!.AdminBind);

    [Fact]
    public void The_demo_runs_at_least_two_workers_of_this_very_program()
    {
        var plan = Planned("demo");

        var run = Assert.Single(plan.Settings!.Runs);
        Assert.Equal(Math.Max(2, Configuration.RunReader.InstancesForMax), run.Instances);
        Assert.Equal("demo-worker", run.Command[^1]);
        Assert.Equal(WorkerTransport.Unix, run.Transport);
        Assert.Equal(WorkerTransport.Tcp, Assert.Single(Planned("demo", "--transport", "tcp").Settings!.Runs).Transport);
        Assert.Equal(WorkerTransport.Tcp, Assert.Single(Planned("run", "--", "node").Settings!.Runs).Transport);
        Assert.True(File.Exists(run.Command[^2]), $"{run.Command[^2]} is there");
        var banner = DemoCommand.Banner(plan.Settings);
        Assert.Contains("curl -s http://127.0.0.1:8000/", banner, StringComparison.Ordinal);
        Assert.Contains("kill -9", banner, StringComparison.Ordinal);
        Assert.Contains("curl -s http://127.0.0.1:8001/status", banner, StringComparison.Ordinal);
    }

    [Fact]
    public void All_mistakes_in_the_options_are_told_in_one_run()
    {
        var (exit, output, error) = Invoke(
            "run", "--listen", "8000", "--admin", "nowhere", "--instances", "0", "--strategy", "two-choice", "--sticky", "a b", "--transport", "udp",
            "--directory", "/not-there", "--loops", "many", "--engine", "io_uring", "--log-format", "jsn", "--", "");

        Assert.Equal(ExitCode.Mistake, exit);
        Assert.Empty(output);
        Assert.Equal(
            [
                "--listen: '8000' is only a port; write 127.0.0.1:8000, or 0.0.0.0:8000 to be reached from other machines",
                "--admin: the port is missing; write host:port, [v6]:port or unix:/path",
                "the command after -- is empty; write the program and its arguments, like: fastlb run -- node server.js",
                "--instances: expected max or a number from 1 to 1024, found '0'",
                "--directory: there is no directory '/not-there'",
                "--transport: expected tcp or unix, found 'udp'",
                "--strategy: there is no strategy 'two-choice'; did you mean 'two-choices'?",
                "--sticky: 'a b' is no cookie name; the character ' ' is not allowed there (RFC 6265)",
                "--engine: expected auto or epoll or io-uring, found 'io_uring'; did you mean 'io-uring'?",
                "--loops: expected auto or a number from 1 to 256, found 'many'",
                "--log-format: expected text or json, found 'jsn'; did you mean 'json'?",
            ],
            Lines(error));
    }

    [Theory]
    [InlineData("fastlb: there is no command 'rnu'; did you mean 'run'?", "rnu")]
    [InlineData("fastlb: there is no command 'launch'; there are demo, run, check, status, reload, worker, route, strategy, explain", "launch")]
    [InlineData("unknown option '--lisen'; did you mean '--listen'?", "run", "--lisen", "127.0.0.1:1", "--", "node")]
    [InlineData("unknown option '--inspect'; write -- before the command if it belongs to that: fastlb run -- node server.js", "run", "node", "--inspect")]
    [InlineData("fastlb: Required argument missing for option: '--listen'.", "run", "--listen")]
    [InlineData("there is no command to run; write it after --, like: fastlb run --listen ... -- node server.js", "run", "--listen", "127.0.0.1:1")]
    [InlineData("x.yaml says what to run, so the command 'node' cannot be given as well; write it into the file or leave out the file", "run", "-c", "x.yaml", "--", "node")]
    [InlineData("x.yaml says what to run, so --listen, --loops cannot be given as well; write it into the file or leave out the file", "run", "-c", "x.yaml", "--loops", "1", "--listen", "127.0.0.1:1")]
    [InlineData("--admin: 127.0.0.1:8000 is where clients connect (--listen); choose another address", "run", "--admin", "127.0.0.1:8000", "--", "node")]
    [InlineData("--admin: the port is missing; write host:port, [v6]:port or unix:/path", "status", "--admin", "here")]
    public void A_mistake_on_the_command_line_says_what_to_write(string expected, params string[] arguments)
    {
        var (exit, output, error) = Invoke(arguments);

        Assert.Equal(ExitCode.Mistake, exit);
        Assert.Empty(output);
        Assert.Equal(expected, Lines(error)[0]);
    }

    [Fact]
    public void Nothing_alone_and_each_help_teach_by_examples()
    {
        var (exit, output, _) = Invoke();
        Assert.Equal(ExitCode.Ok, exit);
        Assert.Contains("Start here:", output, StringComparison.Ordinal);
        Assert.DoesNotContain("demo-worker", output, StringComparison.Ordinal);

        foreach (var command in new[] { "demo", "run", "check", "status" })
        {
            var (exitOfHelp, help, _) = Invoke(command, "--help");
            Assert.Equal(ExitCode.Ok, exitOfHelp);
            Assert.Contains($"Examples:\n  fastlb {command}", help, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Check_says_what_would_run_or_what_is_wrong()
    {
        var right = Write("right.yaml", "listeners: [{ bind: 127.0.0.1:8000, pool: app }]\npools: { app: { run: { command: [sh, server.js], instances: 3 } }, old: { workers: [127.0.0.1:9001] } }\n");
        var wrong = Write("wrong.yaml", "listeners: [{ bind: 127.0.0.1:8000, pool: ap }]\npools: { app: { workers: [127.0.0.1:9001] } }\n");

        var (exit, output, error) = Invoke("check", "-c", right);
        Assert.Equal(ExitCode.Ok, exit);
        Assert.Equal($"{right} is right: http 127.0.0.1:8000; app runs 3 x 'sh server.js'; old reaches 127.0.0.1:9001\n", output);
        Assert.Equal($"{right}:2:68: warning: no listener sends anything to pool 'old'\n", error);

        (exit, output, error) = Invoke("check", "-c", wrong);
        Assert.Equal(ExitCode.Mistake, exit);
        Assert.Empty(output);
        Assert.Contains($"{wrong}:1:43: there is no pool 'ap'; did you mean 'app'?\n", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_says_what_is_wrong_before_what_is_doubtful()
    {
        var wrong = Write("both.yaml", "pools: { old: { workers: [127.0.0.1:9002] }, app: { workers: [127.0.0.1:9001] } }\nlisteners: [{ bind: 8000, pool: app }]\n");

        var lines = Lines(Invoke("check", "-c", wrong).Error);

        Assert.Equal(
            [
                $"{wrong}:2:21: bind: '8000' is only a port; write 127.0.0.1:8000, or 0.0.0.0:8000 to be reached from other machines",
                $"{wrong}:1:10: warning: no listener sends anything to pool 'old'",
            ],
            lines.Where(l => l.Length > 0));
    }

    [Fact]
    public void A_warning_that_is_logged_as_one_does_not_say_so_again()
    {
        var file = Write("doubtful.yaml", "listeners: [{ bind: 127.0.0.1:8000, pool: app }]\npools: { app: { workers: [127.0.0.1:9001] }, old: { workers: [127.0.0.1:9002] } }\n");

        Assert.Equal($"{file}:2:46: no listener sends anything to pool 'old'", Assert.Single(Planned("run", "-c", file).Warnings).ToString());
    }

    [Fact]
    public void An_empty_id_is_a_mistake() =>
        Assert.Equal((ExitCode.Mistake, "", "the id is empty; 'fastlb explain' without one lists the latest\n"), Invoke("explain", ""));

    [Fact]
    public void Check_binds_nothing_so_it_may_be_asked_beside_a_running_FastLB()
    {
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        var file = Write("taken.yaml", $"listeners: [{{ bind: '{taken.LocalEndpoint}', pool: app }}]\npools: {{ app: {{ workers: [127.0.0.1:9001] }} }}\n");

        var (exit, output, error) = Invoke("check", "-c", file);
        Assert.True(exit == ExitCode.Ok, error);
        Assert.Contains(" is right: ", output, StringComparison.Ordinal);
        Assert.False(taken.Pending(), "check has connected to the address");
    }

    [Fact]
    public void A_file_is_run_with_the_log_format_that_was_asked_for()
    {
        var file = Write("fastlb.yaml", "listeners: [{ bind: 127.0.0.1:8000, pool: app }]\npools: { app: { workers: [127.0.0.1:9001] } }\n");

        var plan = Planned("run", "-c", file, "--log-format", "json");

        Assert.Equal(LogFormat.Json, plan.LogFormat);
        Assert.Equal("app", Assert.Single(plan.Settings!.Pools).Name);
        Assert.Equal(ExitCode.Mistake, Invoke("run", "-c", file + ".not").Exit);
    }

    private static Plan Planned(params string[] arguments)
    {
        Plan? served = null;
        using var error = new StringWriter();
        var exit = FastLbCommandLine.Invoke(arguments, TextWriter.Null, error, (_, plan, _) =>
        {
            served = plan;
            return 77;
        });
        Assert.True(exit == 77, error.ToString());
        return served!;
    }

    private static (int Exit, string Output, string Error) Invoke(params string[] arguments)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var exit = FastLbCommandLine.Invoke(arguments, output, error, (_, _, _) => throw new InvalidOperationException("nothing should be served"));
        return (exit, output.ToString(), error.ToString());
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private string Write(string name, string text)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllText(path, text);
        return path;
    }
}
