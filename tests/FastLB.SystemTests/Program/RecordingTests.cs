using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;

namespace FastLB.SystemTests.Program;

/// <summary>The access log, the stories of failed requests, and who may read them, from outside.</summary>
public abstract class RecordingTests(string engine) : TestsOfAnEngine(engine), IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("fastlb-log-");

    private string LogPath => Path.Combine(_directory.FullName, "access.log");

    public void Dispose()
    {
        _directory.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task Requests_and_connections_are_in_the_log_which_can_be_rotated()
    {
        await using var fastlb = await FastLbUnderTest.Start(Configuration());
        using (var client = await RawClient.Connect(fastlb.Endpoint))
        {
            Assert.Equal(200, (await client.Get("/pid?\"<\\", "User-Agent: raw\r\n")).Status);
            Assert.Equal(404, (await client.Get("/nothing")).Status);
            await Eventually.True(() => Lines(LogPath).Length == 2, "two lines", () => fastlb.Program.Errors);
            File.Move(LogPath, LogPath + ".1");
            fastlb.Program.Signal("USR1");
            await Eventually.True(() => File.Exists(LogPath), "the new file", () => fastlb.Program.Errors);
            Assert.Equal(200, (await client.Get("/pid")).Status);
        }

        await Eventually.True(() => Lines(LogPath).Length == 1, "the third line", () => fastlb.Program.Errors);
        var first = JsonNode.Parse(Lines(LogPath + ".1")[0])!;
        Assert.Equal(
            ("GET", "/pid?\"<\\", 200, "app/0", "completed", "raw", "127.0.0.1"),
            ((string)first["method"]!, (string)first["target"]!, (int)first["status"]!, (string)first["worker"]!, (string)first["outcome"]!, (string)first["userAgent"]!, (string)first["client"]!));
        Assert.True((double)first["totalMs"]! >= (double)first["firstByteMs"]!);
        Assert.InRange((DateTimeOffset.UtcNow - DateTimeOffset.Parse((string)first["time"]!, System.Globalization.CultureInfo.InvariantCulture)).TotalMinutes, -1, 5);
        Assert.Equal(3, (int)(await fastlb.Status())["accessLog"]!["written"]!);
    }

    [Fact]
    public async Task A_log_that_nobody_reads_loses_lines_and_no_request_waits()
    {
        Process.Start("mkfifo", LogPath).WaitForExit();
        await using var reader = new FileStream(LogPath, FileMode.Open, FileAccess.ReadWrite);
        await using var fastlb = await FastLbUnderTest.Start(Configuration());

        // Long lines fill a ring of 2 MB soon.
        var target = "/" + new string('x', 1_000);
        var requests = string.Concat(Enumerable.Repeat($"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n", 50));
        using var client = await RawClient.Connect(fastlb.Endpoint);
        for (var i = 0; i < 100; i++)
        {
            await client.Send(requests);
            for (var answer = 0; answer < 50; answer++)
            {
                Assert.Equal(404, (await client.Read()).Status);
            }
        }

        await Eventually.True(
            async () => (long)(await fastlb.Status())["accessLog"]!["dropped"]! > 0, "lines are dropped", () => fastlb.Program.Errors);
        Assert.Contains("fastlb_access_log_dropped_total ", await fastlb.Metrics(), StringComparison.Ordinal);
        Assert.Equal(404, (await client.Get("/y")).Status);
    }

    [Fact]
    public async Task A_failed_request_can_be_found_by_the_id_in_its_answer_with_the_token_alone()
    {
        await using var fastlb = await FastLbUnderTest.Start(Configuration("timeouts: { response: 300ms }"));
        using var client = await RawClient.Connect(fastlb.Endpoint);
        var answer = await client.Get("/slow?ms=5000");
        Assert.Equal(504, answer.Status);
        var id = answer.Headers["fastlb-request-id"];
        using var http = new HttpClient();
        var story = JsonNode.Parse(await http.GetStringAsync(fastlb.Admin($"/requests/{id}")))!;
        Assert.Equal(("GET /slow?ms=5000", "app", 504, "worker-timeout"), ((string)story["request"]!, (string)story["pool"]!, (int)story["status"]!, (string)story["outcome"]!));
        Assert.Contains(story["story"]!.AsArray(), s => ((string)s!).Contains("timeouts.response", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(fastlb.Admin("/requests/1"))).StatusCode);
        using var command = RunningProgram.Start("dotnet", [Repository.FastLbAssembly, "explain", id, "--admin", fastlb.Admin("/").Authority]);
        await command.Exit(TimeSpan.FromSeconds(30));
        Assert.Equal(0, command.ExitCode);
        Assert.Contains("GET /slow?ms=5000 came from 127.0.0.1:", command.Output, StringComparison.Ordinal);
        await Eventually.True(() => Lines(LogPath).Any(l => l.Contains(id, StringComparison.Ordinal)), "the line with the id", () => fastlb.Program.Errors);
    }

    private string Configuration(string more = "") => $$"""
        loops: 2
        admin: { bind: ADMIN }
        accessLog: { to: {{LogPath}} }
        listeners: [{ bind: LISTEN, pool: app }]
        {{more}}
        pools: { app: { run: { command: DEMO, instances: 1 } } }
        """;

    private static string[] Lines(string path) => File.Exists(path) ? File.ReadAllLines(path) : [];
}
