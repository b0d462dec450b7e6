using System.Globalization;
using FastLB.Fleet;
using FastLB.Linux;
using Microsoft.Extensions.Logging;

namespace FastLB.SystemTests.Fleet;

public class FleetHostTests
{
    [Fact]
    public async Task Workers_are_published_when_they_answer_each_on_a_port_of_its_own()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(2));
        fleet.Host.Start();
        await fleet.ReadyAsync(2);

        Assert.Equal([0, 1], fleet.Pool.Workers.Ready.Select(worker => worker.Slot));
        Assert.Equal(2, fleet.Pool.Workers.Ready.Select(worker => worker.Endpoint).Distinct().Count());
        Assert.True(fleet.Log.Has($"app/1 generation 1 is ready on {fleet.Pool.Workers.Ready[1].Endpoint} after "), fleet.Log.ToString());
        var process = fleet.InSlot(1, "ready")!;
        Assert.Equal(("app", 1, fleet.Pool.Workers.Ready[1]), (process.PoolName, process.Generation, process.Worker));
        Assert.True(FleetFixture.Lives(process.Pid));
    }

    [Fact]
    public async Task A_killed_worker_is_replaced_by_the_next_generation_while_the_other_goes_on()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(2));
        fleet.Host.Start();
        await fleet.ReadyAsync(2);
        var (killed, other) = (fleet.InSlot(0, "ready")!, fleet.InSlot(1, "ready")!);

        Signals.Send(killed.Pid, Signals.Kill);
        await Eventually.True(() => fleet.Published(0) is { Generation: 2 }, "generation 2 in slot 0", fleet.Log.ToString);

        Assert.Same(other.Worker, fleet.Published(1));
        await Eventually.True(() => fleet.InSlot(0, "ready") is { Generation: 2, Restarts: 1, LastExit: "was killed by SIGKILL" }, "the status says so");
        Assert.NotEqual(killed.Endpoint, fleet.InSlot(0, "ready")!.Endpoint);
    }

    [Fact]
    public async Task A_worker_in_a_crash_loop_backs_off_while_the_others_serve()
    {
        using var fleet = new FleetFixture(FleetFixture.Shell(2, """[ "$FASTLB_SLOT" = 1 ] || exit 3; exec "$@" """));
        fleet.Host.Start();
        await fleet.ReadyAsync(1);
        await Eventually.True(() => fleet.Log.Has("app/0 exited with status 3") && fleet.Log.Has("(4th quick exit)"), "four quick exits", fleet.Log.ToString);

        Assert.Equal(1, Assert.Single(fleet.Pool.Workers.Ready).Generation);
        await Eventually.True(() => fleet.InSlot(0, "backoff") is { Pid: 0, LastExit: "exited with status 3" }, "slot 0 waits", fleet.Log.ToString);
    }

    [Fact]
    public async Task A_program_that_does_not_exist_is_named_and_tried_again()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(1) with { Command = ["nodee", "server.js"] });
        fleet.Host.Start();

        await Eventually.True(() => fleet.Log.Has("(2nd quick exit)"), "two attempts", fleet.Log.ToString);
        Assert.True(fleet.Log.Has("app/0 cannot be started: 'nodee': no such program in PATH; trying again in "), fleet.Log.ToString());
    }

    [Fact]
    public async Task What_a_worker_started_dies_with_it_also_outside_its_process_group()
    {
        using var fleet = new FleetFixture(FleetFixture.Shell(
            1, """sleep 1000 & echo "inside $!"; setsid sh -c 'echo "outside $$"; exec sleep 1000' & exec "$@" """));
        fleet.Host.Start();
        await fleet.ReadyAsync(1);
        var (inside, outside) = (await fleet.SaidAsync("inside"), await fleet.SaidAsync("outside"));
        Assert.True(FleetFixture.Lives(inside) && FleetFixture.Lives(outside));

        Signals.Send(fleet.InSlot(0, "ready")!.Pid, Signals.Kill);

        await Eventually.True(() => !FleetFixture.Lives(inside), "the grandchild in the group dies");
        await Eventually.True(() => !FleetFixture.Lives(outside), "the grandchild in another session dies");
    }

    [Fact]
    public async Task A_stop_leaves_no_process_and_no_guardian()
    {
        var fleet = new FleetFixture(FleetFixture.Shell(2, """sleep 1000 & setsid sleep 1000 & exec "$@" """));
        fleet.Host.Start();
        await fleet.ReadyAsync(2);
        var pids = fleet.Processes.Select(process => process.Pid).Append(fleet.Host.GuardianPid).ToArray();
        Assert.All(pids, pid => Assert.True(FleetFixture.Lives(pid)));

        await fleet.Host.StopAsync();

        Assert.All(pids, pid => Assert.False(FleetFixture.Lives(pid)));
        Assert.Empty(fleet.Pool.Workers.Ready);
        Assert.Empty(fleet.Processes);
        Assert.Equal(0, MarkedProcesses.Kill("FASTLB_WORKER=app/0", $"{TestRoles.Variable}=worker", $"FASTLB_GUARD={fleet.Host.Mark}"));
        fleet.Dispose();
    }

    [Fact]
    public async Task A_worker_that_ignores_SIGTERM_is_killed_after_killTimeout()
    {
        var run = FleetFixture.Shell(1, """trap '' TERM; "$@" & while :; do sleep 1000; done""") with { KillTimeoutMs = 200 };
        using var fleet = new FleetFixture(run);
        fleet.Host.Start();
        await fleet.ReadyAsync(1);
        var pid = fleet.InSlot(0, "ready")!.Pid;

        await fleet.Host.StopAsync();

        Assert.False(FleetFixture.Lives(pid));
        Assert.True(fleet.Log.Has("app/0 did not stop within 200 ms of SIGTERM (killTimeout); killing it"), fleet.Log.ToString());
    }

    [Fact]
    public async Task A_worker_that_obeys_SIGTERM_is_not_killed()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(1));
        fleet.Host.Start();
        await fleet.ReadyAsync(1);

        await fleet.Host.StopAsync();

        Assert.False(fleet.Log.Has("killing it"), fleet.Log.ToString());
    }

    [Fact]
    public async Task A_worker_behind_a_shell_that_dies_of_SIGTERM_has_killTimeout_to_clean_up()
    {
        using var fleet = new FleetFixture(FleetFixture.Shell(1, CleaningUpBehindAWrapper("sleep 0.3; echo cleaned 1; exit 0")));
        fleet.Host.Start();
        await fleet.ReadyAsync(1);

        await fleet.Host.StopAsync();

        Assert.True(fleet.Log.Has("cleaned 1"), fleet.Log.ToString());
        Assert.True(fleet.Log.Has("app/0 generation 1 stopped: it was killed by SIGTERM"), fleet.Log.ToString());
        Assert.False(fleet.Log.Has("killing it"), fleet.Log.ToString());
    }

    [Fact]
    public async Task A_worker_behind_a_shell_that_goes_on_after_SIGTERM_is_killed_after_killTimeout()
    {
        var run = FleetFixture.Shell(1, CleaningUpBehindAWrapper("while :; do sleep 1; done")) with { KillTimeoutMs = 200 };
        using var fleet = new FleetFixture(run);
        fleet.Host.Start();
        await fleet.ReadyAsync(1);
        var inner = await fleet.SaidAsync("inner");

        await fleet.Host.StopAsync();

        await Eventually.True(() => !FleetFixture.Lives(inner), "the real worker dies");
        Assert.True(fleet.Log.Has("app/0 did not stop within 200 ms of SIGTERM (killTimeout); killing it"), fleet.Log.ToString());
    }

    /// <summary>A shell that waits for another shell, which handles SIGTERM so; beside them, what answers on the port.</summary>
    private static string CleaningUpBehindAWrapper(string onTermination) =>
        $$"""
        "$@" &
        sh -c 'trap "{{onTermination}}" TERM; echo "inner $$"; while :; do sleep 0.05; done'
        echo never
        """;

    [Fact]
    public async Task Output_comes_line_by_line_under_the_workers_name()
    {
        using var fleet = new FleetFixture(FleetFixture.Shell(1, """echo one; echo two >&2; printf 'no end'; exit 7"""));
        fleet.Host.Start();
        await Eventually.True(() => fleet.Log.Has("exited with status 7"), "the exit", fleet.Log.ToString);

        var lines = fleet.Log.Lines.ToList();
        var exit = lines.FindIndex(line => line.Text.Contains("exited with status 7", StringComparison.Ordinal));
        Assert.Contains(new LogLine("app/0", LogLevel.Information, "one"), lines[..exit]);
        Assert.Contains(new LogLine("app/0", LogLevel.Warning, "two"), lines[..exit]);
        Assert.Contains(new LogLine("app/0", LogLevel.Information, "no end"), lines[..exit]);
    }

    [Fact]
    public async Task A_worker_that_floods_its_output_does_not_keep_another_from_being_replaced()
    {
        using var fleet = new FleetFixture(FleetFixture.Shell(2, """[ "$FASTLB_SLOT" = 1 ] || (while :; do echo flood; done) & exec "$@" """));
        fleet.Host.Start();
        await fleet.ReadyAsync(2);
        await Eventually.True(() => fleet.Log.Lines.Count(line => line.Text == "flood") > 1_000, "a flood");

        Signals.Send(fleet.InSlot(1, "ready")!.Pid, Signals.Kill);

        await Eventually.True(() => fleet.Published(1) is { Generation: 2 }, "generation 2 in slot 1");
    }

    [Fact]
    public async Task A_rolling_restart_keeps_the_old_worker_until_its_requests_have_ended()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(2));
        fleet.Host.Start();
        await fleet.ReadyAsync(2);
        var old = fleet.InSlot(0, "ready")!;
        old.Worker!.Begin(0);

        fleet.Host.RestartRolling("app");
        await Eventually.True(() => fleet.InSlot(0, "draining") is not null, "the old one drains", fleet.Log.ToString);
        Assert.Equal(2, fleet.Published(0)!.Generation);

        // While the other slot gets a new process, there is time enough to do the wrong thing.
        Signals.Send(fleet.InSlot(1, "ready")!.Pid, Signals.Kill);
        await Eventually.True(() => fleet.Published(1) is { Generation: 2 }, "generation 2 in slot 1", fleet.Log.ToString);
        Assert.NotNull(fleet.InSlot(0, "draining"));
        Assert.True(FleetFixture.Lives(old.Pid));

        old.Worker.End(0, failed: false);
        await Eventually.True(() => fleet.Log.Has("app rolling restart finished"), "the end of the rollout", fleet.Log.ToString);
        Assert.False(FleetFixture.Lives(old.Pid));
    }

    [Fact]
    public async Task A_rolling_restart_to_a_version_that_does_not_come_up_keeps_the_old_one()
    {
        using var fleet = new FleetFixture(FleetFixture.Shell(1, """[ "$FASTLB_GENERATION" = 1 ] || exit 9; exec "$@" """));
        fleet.Host.Start();
        await fleet.ReadyAsync(1);
        var old = Assert.Single(fleet.Pool.Workers.Ready);

        fleet.Host.RestartRolling();
        await Eventually.True(
            () => fleet.Log.Has("app rolling restart stopped at app/0: generation 2 never became ready (exited with status 9); generation 1 stays"),
            "the rollout stops",
            fleet.Log.ToString);

        Assert.Same(old, Assert.Single(fleet.Pool.Workers.Ready));
    }

    [Fact]
    public async Task A_worker_that_is_too_many_and_finishes_its_requests_is_no_reason_to_restart_the_others()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(2));
        fleet.Host.Start();
        await fleet.ReadyAsync(2);
        var leaving = fleet.Published(1)!;
        leaving.Begin(0);
        var wanted = FleetFixture.Workers(1);
        wanted = wanted with { Environment = [.. wanted.Environment, new("COLOUR", "blue")] };
        fleet.Host.Use([(fleet.Pool, wanted)]);
        await Eventually.True(() => fleet.Log.Has("app rolling restart finished") && fleet.InSlot(0, "ready") is { Generation: 2 }, "the new command", fleet.Log.ToString);
        Assert.Equal((1, false), (fleet.InSlot(1, "draining")!.Generation, fleet.Processes.Any(process => process.IsBehind)));

        fleet.Host.Use([(fleet.Pool, wanted)], triesAgain: true);

        // What is asked of the fleet is done in order, so the other is done when this one has gone.
        leaving.End(0, failed: false);
        await Eventually.True(() => fleet.Log.Has("app/1 generation 1 stopped"), "the end of the worker that was too many", fleet.Log.ToString);
        Assert.Equal(2, Assert.Single(fleet.Pool.Workers.Ready).Generation);
        Assert.Single(fleet.Log.Lines, line => line.Text.Contains("rolling restart of", StringComparison.Ordinal));
    }

    [Fact]
    public void An_unknown_pool_is_named_with_those_that_there_are()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(1));
        var error = Assert.Throws<ArgumentException>(() => fleet.Host.RestartRolling("ap"));
        Assert.Contains("'ap'; it does for: app", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Workers_on_unix_sockets_answer_in_a_directory_that_goes_with_the_fleet()
    {
        var fleet = new FleetFixture(FleetFixture.Workers(1) with { Transport = WorkerTransport.Unix });
        fleet.Host.Start();
        await fleet.ReadyAsync(1);
        var path = fleet.Pool.Workers.Ready[0].Endpoint.UnixPath!;
        var directory = Path.GetDirectoryName(path)!;
        Assert.True(File.Exists(path));
        await Eventually.True(() => fleet.Log.Has($"listening on {path}"), "the worker was told the path", fleet.Log.ToString);

        await fleet.Host.StopAsync();

        Assert.False(Directory.Exists(directory));
        fleet.Dispose();
    }

    [Fact]
    public async Task A_socket_directory_that_somebody_removed_is_told_and_may_be_made_again()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(1) with { Transport = WorkerTransport.Unix });
        fleet.Host.Start();
        await fleet.ReadyAsync(1);
        var directory = Path.GetDirectoryName(fleet.Pool.Workers.Ready[0].Endpoint.UnixPath!)!;
        Directory.Delete(directory, recursive: true);

        Signals.Send(fleet.Processes[0].Pid, Signals.Kill);

        var told = $"app/0 cannot be started: {directory}, where the workers' unix sockets were, has been removed";
        await Eventually.True(() => fleet.Log.Has(told), told, fleet.Log.ToString);
        Directory.CreateDirectory(directory);
        await fleet.ReadyAsync(1);
    }

    [Fact]
    public async Task A_guardian_that_dies_is_replaced()
    {
        using var fleet = new FleetFixture(FleetFixture.Workers(1));
        fleet.Host.Start();
        await Eventually.True(() => fleet.Host.GuardianPid != 0, "a guardian");
        var first = fleet.Host.GuardianPid;

        Signals.Send(first, Signals.Kill);

        await Eventually.True(() => fleet.Host.GuardianPid != 0 && fleet.Host.GuardianPid != first, "another guardian", fleet.Log.ToString);
        Assert.True(fleet.Log.Has("the guardian was killed by SIGKILL; starting another"), fleet.Log.ToString());
        Assert.True(FleetFixture.Lives(fleet.Host.GuardianPid));
    }

    [Fact]
    public async Task Nothing_outlives_a_FastLB_that_is_killed()
    {
        var command = new ChildCommand
        {
            Program = ProgramPath.Find(TestRoles.Command[0], Environment.GetEnvironmentVariable("PATH"), "/", out _)!,
            Arguments = TestRoles.Command,
            Environment = [.. Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>().Select(entry => $"{entry.Key}={entry.Value}"), $"{TestRoles.Variable}=fleet-host"],
            Directory = "/",
            PipeOutput = true,
        };
        var host = ChildProcess.TryStart(command, out var problem);
        Assert.True(host is not null, problem);
        var said = await Task.Run(() => ReadUntil(host.Output!, "guardian "));
        var words = said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')).ToArray();
        var pids = words.Select(line => int.Parse(line[1], CultureInfo.InvariantCulture)).ToArray();
        var directory = Path.GetDirectoryName(words[0][2])!;
        Assert.Equal(3, pids.Length);
        Assert.All(pids, pid => Assert.True(FleetFixture.Lives(pid)));
        Assert.True(Directory.Exists(directory));

        // Only the process itself, as the kernel would; its workers are in groups of their own anyway.
        Signals.Send(host.Pid, Signals.Kill);

        foreach (var pid in pids)
        {
            await Eventually.True(() => !FleetFixture.Lives(pid), $"process {pid} dies with its FastLB: {said}");
        }

        Assert.False(Directory.Exists(directory));
        await Eventually.True(host.Reap, "the host's end");
        host.Close();
    }

    private static string ReadUntil(ChildOutput output, string word)
    {
        var said = "";
        var buffer = new byte[4096];
        while (!(said.Contains(word, StringComparison.Ordinal) && said.EndsWith('\n')))
        {
            var read = output.Read(buffer);
            Assert.True(read > 0, $"the output ended after: {said}");
            said += System.Text.Encoding.UTF8.GetString(buffer, 0, read);
        }

        return said;
    }
}
