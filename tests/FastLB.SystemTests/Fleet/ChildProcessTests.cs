using System.Runtime.Versioning;
using System.Text;
using FastLB.Linux;

namespace FastLB.SystemTests.Fleet;

public class ChildProcessTests
{
    private const ulong SigPipe = 1UL << (13 - 1);

    /// <summary>1 to 31. glibc keeps 32 and 33 for itself.</summary>
    private const ulong UsualSignals = 0x7FFF_FFFF;

    [Fact]
    public async Task A_child_has_every_signal_at_its_default_and_none_blocked()
    {
        // .NET itself ignores SIGPIPE: that is what the child must not inherit.
        Assert.NotEqual(0UL, SignalsIn(await File.ReadAllTextAsync("/proc/self/status"), "SigIgn") & SigPipe);

        var (output, _) = await RunAsync("cat /proc/self/status");

        Assert.Equal(0UL, SignalsIn(output, "SigIgn") & UsualSignals);
        Assert.Equal(0UL, SignalsIn(output, "SigBlk") & UsualSignals);
    }

    [Fact]
    public async Task A_child_gets_no_descriptor_but_the_standard_ones()
    {
        // Inheritable is .NET's word for: not close-on-exec.
        using var opened = new FileStream("/proc/self/status", FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Inheritable);
        var (output, _) = await RunAsync("ls -l /proc/$$/fd");

        Assert.Contains("0 -> /dev/null", output, StringComparison.Ordinal);
        var numbers = output.Split('\n').Where(line => line.Contains("->", StringComparison.Ordinal)).Select(line => line.Split(" -> ")[0].Split(' ')[^1]);
        Assert.Equal(["0", "1", "2"], numbers);
    }

    [Fact]
    public async Task A_child_leads_its_own_group_in_its_directory_with_its_environment_only()
    {
        var (output, child) = await RunAsync("pwd; cut -d' ' -f5 /proc/$$/stat; env", directory: "/usr/bin", environment: ["NAME=a value", "PATH=/usr/bin:/bin"]);
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal("/usr/bin", lines[0]);
        Assert.Equal(child.Pid.ToString(System.Globalization.CultureInfo.InvariantCulture), lines[1]);
        Assert.Contains("NAME=a value", lines);
        Assert.DoesNotContain(lines, line => line.StartsWith("HOME=", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("exit 0", "exited with status 0")]
    [InlineData("exit 255", "exited with status 255")]
    [InlineData("kill -s TERM $$", "was killed by SIGTERM")]
    [InlineData("kill -s KILL $$", "was killed by SIGKILL")]
    public async Task How_a_child_ended_is_told(string script, string expected)
    {
        var (_, child) = await RunAsync(script);
        Assert.Equal(expected, child.Exit.ToString());
    }

    [Fact]
    public async Task Reaping_a_child_kills_what_is_left_of_its_group()
    {
        var (output, _) = await RunAsync("sleep 1000 > /dev/null 2>&1 & echo $!");
        var left = int.Parse(output, System.Globalization.CultureInfo.InvariantCulture);

        await Eventually.True(() => !FleetFixture.Lives(left), "what the child left behind dies");
    }

    [Fact]
    public void A_child_that_runs_is_not_reaped()
    {
        var child = ChildProcess.TryStart(Shell("exec sleep 1000", "/", ["PATH=/usr/bin:/bin"]), out var problem);
        Assert.True(child is not null, problem);
        Assert.False(child.Reap());
        child.Kill();
        while (!child.Reap())
        {
            Thread.Yield();
        }

        Assert.Equal(new ExitStatus(ExitKind.Killed, 9), child.Exit);
        child.Close();
    }

    [Fact]
    public async Task Closed_standard_descriptors_become_the_null_device()
    {
        using var program = RunningProgram.Start(
            TestRoles.Command[0], TestRoles.Command.Skip(1), new Dictionary<string, string> { [TestRoles.Variable] = "closed-descriptors" });
        await program.Exit(TimeSpan.FromSeconds(30));
        Assert.Equal(0, program.ExitCode);
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public void A_file_that_is_no_program_is_explained()
    {
        var script = Path.GetTempFileName();
        try
        {
            File.WriteAllText(script, "#!/no/such/interpreter\n");
            File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            Assert.Null(ChildProcess.TryStart(Shell("", "/", []) with { Program = script }, out var missing));
            Assert.Contains("needs an interpreter or loader that does not exist", missing, StringComparison.Ordinal);

            File.WriteAllText(script, "no program\n");
            Assert.Null(ChildProcess.TryStart(Shell("", "/", []) with { Program = script }, out var text));
            Assert.Contains("is not a program; a script needs a #! line", text, StringComparison.Ordinal);

            Assert.Null(ChildProcess.TryStart(Shell("a\0b", "/", []), out var zero));
            Assert.Contains("zero byte", zero, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(script);
        }
    }

    /// <summary>A set of signals as proc(5) shows it, bit 0 for signal 1.</summary>
    private static ulong SignalsIn(string status, string set)
    {
        var line = status.Split('\n').Single(line => line.StartsWith(set + ":", StringComparison.Ordinal));
        return Convert.ToUInt64(line.Split('\t')[1], 16);
    }

    private static ChildCommand Shell(string script, string directory, IReadOnlyList<string> environment) => new()
    {
        Program = "/bin/sh",
        Arguments = ["sh", "-c", script],
        Environment = environment,
        Directory = directory,
        PipeOutput = true,
    };

    private static async Task<(string Output, ChildProcess Child)> RunAsync(string script, string directory = "/", IReadOnlyList<string>? environment = null)
    {
        var child = ChildProcess.TryStart(Shell(script, directory, environment ?? ["PATH=/usr/bin:/bin"]), out var problem);
        Assert.True(child is not null, problem);
        var output = await Task.Run(() =>
        {
            var text = new StringBuilder();
            var buffer = new byte[4096];
            int read;
            while ((read = child.Output!.Read(buffer)) > 0)
            {
                text.Append(Encoding.UTF8.GetString(buffer, 0, read));
            }

            return text.ToString();
        });
        await Eventually.True(child.Reap, "the child's end");
        child.Close();
        return (output, child);
    }
}
