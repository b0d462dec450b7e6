using System.Globalization;

namespace FastLB.SystemTests.Program;

/// <summary>What a machine runs out of, or loses, while FastLB runs: the fleet says so, waits, and goes on.</summary>
public sealed class ShortageTests
{
    private const string OneWorker = """
        loops: 1
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, pool: app }]
        pools: { app: { run: { command: DEMO, instances: 1 } } }
        """;

    [NeedsToolsFact("prlimit")]
    public async Task A_worker_that_dies_while_no_descriptors_are_left_is_replaced_when_there_are_some()
    {
        await using var fastlb = await FastLbUnderTest.Start(OneWorker);
        var worker = (int)(await fastlb.Workers())[0]["pid"]!;

        // What is open stays open; nothing new comes, as when all descriptors are taken.
        await LimitDescriptors(fastlb, "10:");
        RunningProgram.Signal(worker, "KILL");
        await Eventually.True(
            () => fastlb.Program.Errors.Contains("(2nd quick exit)", StringComparison.Ordinal) || fastlb.Program.HasExited, "two attempts", () => fastlb.Program.Errors);
        Assert.False(fastlb.Program.HasExited, fastlb.Program.Errors);
        Assert.True(fastlb.Program.Errors.Contains("app/0 cannot be started: no descriptors are left (ulimit -n is 10); trying again in ", StringComparison.Ordinal), fastlb.Program.Errors);

        await LimitDescriptors(fastlb, "1024:");
        await fastlb.Ready();
        Assert.NotEqual(worker, (int)(await fastlb.Workers())[0]["pid"]!);
    }

    [Fact]
    public async Task A_worker_that_dies_after_the_working_directory_was_removed_is_replaced()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-deploy-");
        await using var fastlb = await FastLbUnderTest.Start(OneWorker, directory: directory.FullName);
        var worker = (int)(await fastlb.Workers())[0]["pid"]!;

        directory.Delete(recursive: true);
        RunningProgram.Signal(worker, "KILL");

        await Eventually.True(
            async () => !fastlb.Program.HasExited && (await fastlb.Workers())[0] is { } now && (string)now["state"]! == "ready" && (int)now["pid"]! != worker,
            "another worker",
            () => fastlb.Program.Errors);
        Assert.True(fastlb.Program.Errors.Contains("app/0 starts in a directory without a name: FastLB's working directory has been removed", StringComparison.Ordinal), fastlb.Program.Errors);
    }

    [Fact]
    public async Task FastLB_starts_in_a_directory_that_has_been_removed()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-deploy-");
        await using var fastlb = await FastLbUnderTest.Start(
            OneWorker, directory: directory.FullName, wrapper: ["/bin/sh", "-c", "rmdir \"$PWD\" && exec \"$@\"", "sh"]);
        Assert.False(Directory.Exists(directory.FullName));
        Assert.Equal("ready", (string)(await fastlb.Workers())[0]["state"]!);
    }

    [Theory]
    [InlineData("exec \"$@\" <&- >&- 2>&-")]
    [InlineData("exec \"$@\" >&- 2>&-")]
    public async Task Without_standard_descriptors_FastLB_serves(string script)
    {
        await using var fastlb = await FastLbUnderTest.Start(OneWorker, wrapper: ["/bin/sh", "-c", script, "sh"]);
        Assert.Equal("ready", (string)(await fastlb.Workers())[0]["state"]!);
    }

    [Fact]
    public async Task A_relative_program_in_a_removed_directory_gets_a_sentence()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-deploy-");
        var yaml = OneWorker.Replace("command: DEMO", "command: [./server]", StringComparison.Ordinal);
        await using var fastlb = await FastLbUnderTest.Start(yaml, waitUntilReady: false, directory: directory.FullName);
        Assert.True(fastlb.Program.Errors.Contains("app/0 cannot be started: './server' does not exist", StringComparison.Ordinal), fastlb.Program.Errors);

        directory.Delete(recursive: true);

        await Eventually.True(
            () => fastlb.Program.Errors.Contains("'./server' cannot be found, because FastLB's working directory has been removed", StringComparison.Ordinal),
            "the sentence",
            () => fastlb.Program.Errors);
    }

    private static async Task LimitDescriptors(FastLbUnderTest fastlb, string limit) => await RunningProgram.OutputOf(
        "prlimit", "--pid", fastlb.Program.Pid.ToString(CultureInfo.InvariantCulture), $"--nofile={limit}");
}
