using FastLB.Core.Loop;
using FastLB.Tests.ConfigurationFiles;

namespace FastLB.Tests.Programs;

/// <summary>What a reload tells in the log: everything once, and nothing again that has not changed.</summary>
public sealed class ReloaderTests : IDisposable
{
    private const string Doubtful =
        "engine: epoll\nloops: 1\nlisteners: [{ bind: \"unix:PATH\", pool: app }]\npools: { app: { workers: [127.0.0.1:9999] }, spare: { workers: [127.0.0.1:9998] } }\n";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("fastlb-tests-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task A_warning_is_told_once_as_long_as_it_stays_the_same()
    {
        var log = new RecordedLines();
        var text = Doubtful.Replace("PATH", Path.Combine(_directory.FullName, "app.sock"), StringComparison.Ordinal);
        await using var server = Server.Start(ConfigurationSample.Read(text).Settings!, log);
        using var reloader = new Reloader(server, null, watches: false, log);
        for (var i = 0; i < 3; i++)
        {
            Assert.True((await reloader.ReloadTextAsync(text, forgetsChanges: false)).IsDone);
        }

        Assert.Single(Warnings(log, "no listener sends anything to pool 'spare'"));

        await reloader.ReloadTextAsync(text.Replace("spare", "other", StringComparison.Ordinal), forgetsChanges: false);
        await reloader.ReloadTextAsync(text, forgetsChanges: false);
        Assert.Single(Warnings(log, "no listener sends anything to pool 'other'"));
        Assert.Equal(2, Warnings(log, "no listener sends anything to pool 'spare'").Count());
    }

    private static IEnumerable<string> Warnings(RecordedLines log, string text) =>
        log.Lines.Where(l => l.StartsWith("Warning: ", StringComparison.Ordinal) && l.EndsWith(text, StringComparison.Ordinal));
}
