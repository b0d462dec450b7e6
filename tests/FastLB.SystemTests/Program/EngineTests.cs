using FastLB.Linux;

namespace FastLB.SystemTests.Program;

/// <summary>The engine is chosen at start, and named with the reason.</summary>
public class EngineTests
{
    private const string OneWorker = """
        engine: ENGINE
        loops: 1
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, pool: app }]
        pools: { app: { run: { command: DEMO, instances: 1 } } }
        """;

    [Theory]
    [InlineData("auto")]
    [InlineData("epoll")]
    public async Task The_engine_is_named_with_its_reason_in_the_status_and_the_log(string choice)
    {
        await using var fastlb = await FastLbUnderTest.Start(OneWorker.Replace("ENGINE", choice, StringComparison.Ordinal));
        var (engine, reason) = choice == "epoll" ? ("epoll", "configured")
            : Engine.TryUring("", out _, out var obstacle) ? ("io_uring", "auto: works here")
            : ("epoll", $"auto: no io_uring here, {obstacle}");
        var status = await fastlb.Status();
        Assert.Equal((engine, reason), ((string?)status["engine"], (string?)status["engineReason"]));
        Assert.Contains($"1 loops on {engine} ({reason})", fastlb.Program.Errors, StringComparison.Ordinal);
    }

    [NeedsToolsFact("cc")]
    public async Task Where_a_seccomp_filter_forbids_io_uring_auto_is_epoll_and_io_uring_refuses_to_start()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-engine-");
        try
        {
            var wrapper = Path.Combine(directory.FullName, "without_io_uring");
            await RunningProgram.OutputOf("cc", "-o", wrapper, Path.Combine(Repository.Root, "native", "without_io_uring.c"));
            await using (var fastlb = await FastLbUnderTest.Start(OneWorker.Replace("ENGINE", "auto", StringComparison.Ordinal), wrapper: [wrapper]))
            {
                Assert.Equal("epoll", (string?)(await fastlb.Status())["engine"]);
                Assert.Contains("forbids it", fastlb.Program.Errors, StringComparison.Ordinal);
            }

            var file = Path.Combine(directory.FullName, "fastlb.yaml");
            await File.WriteAllTextAsync(file, "engine: io-uring\nlisteners: [{ bind: 127.0.0.1:19999, pool: app }]\npools: { app: { workers: [127.0.0.1:9] } }\n");
            using var refused = RunningProgram.Start(wrapper, ["dotnet", Repository.FastLbAssembly, "run", "-c", file]);
            await refused.Exit(TimeSpan.FromSeconds(30));
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains("engine io-uring cannot run here: the kernel or a seccomp filter forbids it", refused.Errors, StringComparison.Ordinal);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
