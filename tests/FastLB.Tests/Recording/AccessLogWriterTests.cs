using System.Diagnostics;
using System.Runtime.Versioning;
using FastLB.AccessLog;
using FastLB.Core.Recording;
using FastLB.Linux;
using Microsoft.Extensions.Logging.Abstractions;

namespace FastLB.Tests.Recording;

/// <summary>The thread between the rings and the file.</summary>
public sealed class AccessLogWriterTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("fastlb-log-");

    private string LogPath => Path.Combine(_directory.FullName, "access.log");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    [SupportedOSPlatform("linux")]
    public void Everything_that_was_written_into_the_rings_is_in_the_file_at_the_end()
    {
        using (var writer = AccessLogWriter.Start(Settings(LogPath), 2, NullLogger.Instance))
        {
            for (var i = 0; i < 1_000; i++)
            {
                Write(writer.Rings[i % 2]);
            }
        }

        Assert.Equal(1_000, File.ReadAllLines(LogPath).Length);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(LogPath));
    }

    [Fact]
    public void What_is_there_is_added_to()
    {
        File.WriteAllText(LogPath, "before\n");
        using (var writer = AccessLogWriter.Start(Settings(LogPath), 1, NullLogger.Instance))
        {
            Write(writer.Rings[0]);
        }

        Assert.Equal("before", File.ReadAllLines(LogPath)[0]);
        Assert.Equal(2, File.ReadAllLines(LogPath).Length);
    }

    [Fact]
    public void A_file_that_was_renamed_is_made_anew()
    {
        using (var writer = AccessLogWriter.Start(Settings(LogPath), 1, NullLogger.Instance))
        {
            Write(writer.Rings[0]);
            Until(() => writer.Written == 1);
            File.Move(LogPath, LogPath + ".1");
            writer.Reopen();
            Until(() => File.Exists(LogPath));
            Write(writer.Rings[0]);
        }

        Assert.Single(File.ReadAllLines(LogPath + ".1"));
        Assert.Single(File.ReadAllLines(LogPath));
    }

    [Fact]
    public void A_file_that_cannot_be_opened_anew_is_written_where_it_is()
    {
        using var log = new RecordedLog();
        using (var writer = AccessLogWriter.Start(Settings(LogPath), 1, log))
        {
            Write(writer.Rings[0]);
            Until(() => writer.Written == 1);
            File.Move(LogPath, LogPath + ".1");
            Directory.CreateDirectory(LogPath);
            writer.Reopen();
            Until(() => log.Text.Contains("cannot be opened anew", StringComparison.Ordinal));
            Write(writer.Rings[0]);
        }

        Assert.Equal(2, File.ReadAllLines(LogPath + ".1").Length);
    }

    [Fact]
    public void A_file_that_cannot_be_opened_at_the_start_is_told_with_its_place()
    {
        var failure = Assert.Throws<ServerStartException>(() => AccessLogWriter.Start(Settings("/nowhere/access.log"), 1, NullLogger.Instance));
        Assert.Equal(
            "fastlb.yaml:1:20: the access log: cannot open /nowhere/access.log: No such file or directory (error 2); make its directory writable for FastLB or write another path in 'accessLog.to'",
            failure.Message);
    }

    [Fact]
    public void A_pipe_that_nobody_reads_costs_lines_and_keeps_nobody_waiting()
    {
        Process.Start("mkfifo", LogPath).WaitForExit();
        using var reader = new FileStream(LogPath, FileMode.Open, FileAccess.ReadWrite);
        var writer = AccessLogWriter.Start(Settings(LogPath), 1, NullLogger.Instance);
        try
        {
            // Far more than pipe, batch and ring hold together. It is this thread that would hang.
            for (var i = 0; i < 100_000; i++)
            {
                Write(writer.Rings[0]);
            }

            Until(() => writer.Dropped > 0);
            var bytes = new byte[64 * 1024];
            for (var lines = 0; lines < 1_000;)
            {
                lines += bytes.AsSpan(0, reader.Read(bytes)).Count((byte)'\n');
            }

            Until(() => writer.Written > 0);
        }
        finally
        {
            writer.Dispose();
        }
    }

    [Fact]
    public async Task A_pipe_without_a_reader_is_an_error_at_the_start_and_not_waited_for()
    {
        Process.Start("mkfifo", LogPath).WaitForExit();
        var starting = Task.Run(() => AccessLogWriter.Start(Settings(LogPath), 1, NullLogger.Instance));
        var failure = await Assert.ThrowsAsync<ServerStartException>(() => starting.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal(
            $"fastlb.yaml:1:20: the access log: cannot open {LogPath}: it is a pipe that nobody reads, or a socket; start its reader first or write another path in 'accessLog.to'",
            failure.Message);
    }

    [Fact]
    public void A_pipe_without_a_reader_that_takes_the_files_place_is_not_waited_for_either()
    {
        using var log = new RecordedLog();
        using (var writer = AccessLogWriter.Start(Settings(LogPath), 1, log))
        {
            Write(writer.Rings[0]);
            Until(() => writer.Written == 1);
            File.Move(LogPath, LogPath + ".1");
            Process.Start("mkfifo", LogPath).WaitForExit();
            writer.Reopen();
            Until(() => log.Text.Contains($"the access log {LogPath} cannot be opened anew: it is a pipe that nobody reads, or a socket; it is written", StringComparison.Ordinal));
            Write(writer.Rings[0]);
        }

        Assert.Equal(2, File.ReadAllLines(LogPath + ".1").Length);
    }

    [Fact]
    public void A_reader_that_reads_slowly_gets_every_line_whole()
    {
        const int Lines = 2_000;
        Process.Start("mkfifo", LogPath).WaitForExit();
        using var reader = new FileStream(LogPath, FileMode.Open, FileAccess.ReadWrite);
        using var writer = AccessLogWriter.Start(Settings(LogPath), 1, NullLogger.Instance);

        // More than a pipe holds, less than the ring: the log's thread waits in the middle of a batch, and goes on where it was.
        for (var i = 0; i < Lines; i++)
        {
            Write(writer.Rings[0]);
        }

        var seen = 0;
        var text = new StreamReader(reader);
        for (; seen < Lines; seen++)
        {
            Assert.EndsWith("}", text.ReadLine(), StringComparison.Ordinal);
        }

        Until(() => writer.Written == Lines);
        Assert.Equal(0, writer.Dropped);
    }

    [Fact]
    public async Task The_end_does_not_wait_for_a_reader_that_reads_nothing()
    {
        Process.Start("mkfifo", LogPath).WaitForExit();
        using var reader = new FileStream(LogPath, FileMode.Open, FileAccess.ReadWrite);
        var writer = AccessLogWriter.Start(Settings(LogPath), 1, NullLogger.Instance);
        for (var i = 0; i < 2_000; i++)
        {
            Write(writer.Rings[0]);
        }

        await Task.Run(writer.Dispose).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.True(writer.Written < 2_000);
    }

    [Fact]
    public void A_full_disk_is_told_once_and_counted()
    {
        using var log = new RecordedLog();
        using var writer = AccessLogWriter.Start(Settings("/dev/full"), 1, log);
        for (var i = 1; i <= 3; i++)
        {
            Write(writer.Rings[0]);
            Until(() => writer.Dropped == i);
        }

        Assert.Equal(1, log.Text.Split("cannot be written: No space left on device").Length - 1);
        Assert.Equal(0, writer.Written);
    }

    [Fact]
    public void Standard_error_is_not_closed_at_the_end()
    {
        using (AccessLogWriter.Start(Settings(null), 1, NullLogger.Instance))
        {
            // Nothing is written.
        }

        Assert.Equal(0, AppendingFile.StandardError.Write(""u8));
        Assert.True(File.Exists("/proc/self/fd/2"));
    }

    private static AccessLogSettings Settings(string? path) => new(AccessLogFormat.Json, path, new SourcePlace("fastlb.yaml:1:20"));

    private static void Write(RecordRing ring)
    {
        var record = new RequestRecord();
        record.Clear();
        record.KeepHead("GET"u8, "/"u8, default, "test"u8);
        record.TryWrite(ring, "127.0.0.1:8000"u8, "app"u8);
    }

    private static void Until(Func<bool> condition) =>
        Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(30)), "it did not come to that within 30 s");
}
