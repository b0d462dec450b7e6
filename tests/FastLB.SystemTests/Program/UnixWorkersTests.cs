using System.Runtime.Versioning;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace FastLB.SystemTests.Program;

/// <summary>Workers on unix sockets, as their authors write them: an app of Node, one of ASP.NET Core, and the demo worker.</summary>
[SupportedOSPlatform("linux")]
public sealed class UnixWorkersTests
{
    [NeedsToolsFact("node")]
    public async Task A_Node_app_listens_on_the_path_that_it_finds_in_PORT()
    {
        await using var fastlb = await Start("[node, server.js]", Repository.Example("node-app"));
        await TwoProcessesAnswer(fastlb, "/", @"pid (\d+)");
    }

    [Fact]
    public async Task An_ASP_NET_Core_app_listens_on_the_path_that_it_finds_in_ASPNETCORE_URLS()
    {
        var artifacts = Directory.CreateTempSubdirectory("fastlb-tests-");
        await RunningProgram.OutputOf(
            "dotnet", "build", Repository.Example("dotnet-app"), "-c", "Release", "--artifacts-path", artifacts.FullName, "--nologo", "-nodeReuse:false");
        await using (var fastlb = await Start("[dotnet, dotnet-app.dll]", Path.Combine(artifacts.FullName, "bin", "dotnet-app", "release")))
        {
            await TwoProcessesAnswer(fastlb, "/", @"process (\d+)");
        }

        artifacts.Delete(recursive: true);
    }

    [Fact]
    public async Task The_demo_worker_serves_bodies_and_a_killed_one_is_replaced_on_a_path_of_its_own()
    {
        await using var fastlb = await Start("DEMO", "/");
        await TwoProcessesAnswer(fastlb, "/pid", @"(\d+)");
        using var client = await RawClient.Connect(fastlb.Endpoint);
        Assert.Equal(3_000_000, (await client.Get("/bytes/3000000")).Body.Length);

        var victim = (await fastlb.Workers())[0];
        RunningProgram.Signal((int)victim["pid"]!, "KILL");
        await Eventually.True(
            async () => (await fastlb.Workers())[0] is var now && (int)now["generation"]! == 2 && (string)now["state"]! == "ready", "another worker in slot 0");

        var path = PathOf(victim);
        Assert.NotEqual(path, PathOf((await fastlb.Workers())[0]));
        Assert.False(File.Exists(path), $"{path} is left");
        await TwoProcessesAnswer(fastlb, "/pid", @"(\d+)");
    }

    [Fact]
    public async Task The_sockets_are_in_a_directory_of_their_own_that_goes_when_FastLB_stops()
    {
        string directory;
        await using (var fastlb = await Start("DEMO", "/"))
        {
            directory = await DirectoryOfSockets(fastlb);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(directory));
            Assert.Equal(2, Directory.GetFileSystemEntries(directory).Length);
        }

        Assert.False(Directory.Exists(directory), $"{directory} is left");
    }

    [Fact]
    public async Task The_directory_goes_with_the_workers_when_FastLB_is_killed()
    {
        await using var fastlb = await Start("DEMO", "/");
        var directory = await DirectoryOfSockets(fastlb);
        var pids = (await fastlb.Workers()).Select(w => (int)w["pid"]!).ToArray();
        fastlb.Program.Signal("KILL");
        await Eventually.True(
            () => !Directory.Exists(directory) && pids.All(pid => !Directory.Exists($"/proc/{pid}")), $"nothing is left of {directory}");
    }

    /// <summary>Two processes on unix sockets.</summary>
    private static Task<FastLbUnderTest> Start(string command, string directory) => FastLbUnderTest.Start($$"""
        loops: 1
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, pool: app }]
        pools:
          app:
            strategy: round-robin
            run: { command: {{command}}, instances: 2, transport: unix, directory: {{directory}} }
        """);

    private static async Task TwoProcessesAnswer(FastLbUnderTest fastlb, string path, string pidPattern)
    {
        using var client = await RawClient.Connect(fastlb.Endpoint);
        var pids = new HashSet<int>();
        for (var i = 0; i < 4; i++)
        {
            var answer = await client.Get(path);
            Assert.Equal(200, answer.Status);
            pids.Add(int.Parse(Regex.Match(answer.Text, pidPattern).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture));
        }

        Assert.Equal((await fastlb.Workers()).Select(w => (int)w["pid"]!).Order(), pids.Order());
    }

    private static async Task<string> DirectoryOfSockets(FastLbUnderTest fastlb) =>
        Assert.Single((await fastlb.Workers()).Select(w => Path.GetDirectoryName(PathOf(w))!).Distinct());

    private static string PathOf(JsonNode worker)
    {
        var endpoint = (string)worker["endpoint"]!;
        Assert.StartsWith("unix:/", endpoint, StringComparison.Ordinal);
        return endpoint["unix:".Length..];
    }
}
