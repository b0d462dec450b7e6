using FastLB.Core.Recording;
using FastLB.Linux;

namespace FastLB.AccessLog;

/// <summary>
/// Writes the access log from a thread of its own: it takes records out of the loops' rings, makes lines of them and appends those to the file. Loops never
/// wait for it: while the file takes nothing their rings fill up, and what comes then is dropped and counted. Lines of one loop are in order; those of
/// several are within a few milliseconds.
/// </summary>
internal sealed partial class AccessLogWriter : IDisposable
{
    /// <summary>Each loop's ring: some 8,000 lines, which is what comes in the longest pause between two looks.</summary>
    public const int RingBytes = 2 * 1024 * 1024;

    private const int BatchBytes = 64 * 1024;
    private const int ShortestPauseMs = 10;
    private const int LongestPauseMs = 50;

    /// <summary>How long the end of the process may wait for a file that takes nothing.</summary>
    private static readonly TimeSpan FlushPatience = TimeSpan.FromSeconds(2);

    private readonly AccessLogSettings _settings;
    private readonly RecordRing[] _rings;
    private readonly LineFormat _format;
    private readonly ByteLine _lines = new(2 * BatchBytes);
    private readonly ILogger _log;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _stopping = new();
    private AppendingFile _file;
    private volatile bool _reopenWanted;
    private bool _failing;
    private long _batchLines;
    private long _written;
    private long _lost;

    private AccessLogWriter(AccessLogSettings settings, AppendingFile file, int loops, ILogger log)
    {
        _settings = settings;
        _file = file;
        _log = log;
        _format = LineFormat.Of(settings.Format);
        _rings = [.. Enumerable.Range(0, loops).Select(_ => new RecordRing(RingBytes))];
        _thread = new Thread(WriteAll) { IsBackground = true, Name = "fastlb-access" };
        _thread.Start();
    }

    /// <summary>One for each loop, which is its only producer.</summary>
    public IReadOnlyList<RecordRing> Rings => _rings;

    /// <summary>Lines that the file took.</summary>
    public long Written => Volatile.Read(ref _written);

    /// <summary>Lines that were lost, because the file took them too slowly or not at all.</summary>
    public long Dropped => Volatile.Read(ref _lost) + _rings.Sum(r => r.Dropped);

    /// <summary>Opens the file and begins.</summary>
    /// <exception cref="ServerStartException">The file cannot be opened.</exception>
    public static AccessLogWriter Start(AccessLogSettings settings, int loops, ILogger log)
    {
        var result = TryOpen(settings.Path, out var file);
        if (result < 0)
        {
            var (reason, advice) = AppendingFile.Describe(-result);
            throw new ServerStartException($"{Prefix(settings.Place)}the access log: cannot open {settings.Path}: {reason}; {advice} or write another path in 'accessLog.to'");
        }

        return new AccessLogWriter(settings, file!, loops, log);
    }

    /// <summary>Opens the file anew, because it was renamed. Soon, and not while the present one takes nothing. Any thread.</summary>
    public void Reopen() => _reopenWanted = true;

    /// <summary>Writes what is there and ends. The loops have stopped before. A thread that still waits for a file which takes nothing is left to the end of the process.</summary>
    public void Dispose()
    {
        _stopping.Set();
        if (_thread.Join(FlushPatience))
        {
            _file.Dispose();
            _stopping.Dispose();
        }
    }

    private static string Prefix(SourcePlace place) => string.IsNullOrEmpty(place.Text) ? "" : $"{place.Text}: ";

    private static int TryOpen(string? path, out AppendingFile? file)
    {
        if (path is not null)
        {
            return AppendingFile.Open(path, out file);
        }

        file = AppendingFile.StandardError;
        return 0;
    }

    private void WriteAll()
    {
        var pauseMs = ShortestPauseMs;
        var isLast = false;
        while (true)
        {
            var lines = 0L;
            if (_reopenWanted)
            {
                _reopenWanted = false;
                ReopenNow();
            }

            foreach (var ring in _rings)
            {
                lines += Drain(ring);
            }

            Flush();
            if (isLast)
            {
                return;
            }

            // What the loops wrote before the stop is there now, so one more round gets all of it.
            isLast = _stopping.IsSet;
            pauseMs = lines > 0 ? ShortestPauseMs : Math.Min(LongestPauseMs, pauseMs * 2);
            if (!isLast)
            {
                _stopping.Wait(pauseMs);
            }
        }
    }

    /// <summary>Everything that is in the ring now. How many lines that was.</summary>
    private long Drain(RecordRing ring)
    {
        var lines = 0L;
        var clockAheadNs = (DateTime.UtcNow.Ticks - DateTime.UnixEpoch.Ticks) * 100 - MonotonicClock.NowNs;

        // As many bytes as the ring has at most in one go, so that a loop that never rests does not keep the others waiting.
        for (var bytes = 0; bytes < RingBytes && ring.TryRead(out var bytesOfRecord); lines++)
        {
            bytes += bytesOfRecord.Length;
            var record = new RecordView(bytesOfRecord);
            _format.Append(record, record.Facts.BeganNs + clockAheadNs, _lines);
            ring.Release();
            _batchLines++;
            if (_lines.Length >= BatchBytes)
            {
                Flush();
            }
        }

        return lines;
    }

    private void Flush()
    {
        if (_batchLines == 0)
        {
            return;
        }

        var result = _file.Write(_lines.Written);
        _lines.Clear();
        ref var count = ref result < 0 ? ref _lost : ref _written;
        Volatile.Write(ref count, count + _batchLines);
        _batchLines = 0;
        if (result < 0 != _failing)
        {
            _failing = result < 0;
            if (_failing)
            {
                LogFailing(_settings.Path ?? "stderr", SystemError.Describe(-result));
            }
            else
            {
                LogWorksAgain(_settings.Path ?? "stderr", Dropped);
            }
        }
    }

    private void ReopenNow()
    {
        Flush();
        if (_settings.Path is not { } path)
        {
            return;
        }

        var result = TryOpen(path, out var file);
        if (result < 0)
        {
            LogNotReopened(path, AppendingFile.Describe(-result).Reason);
            return;
        }

        _file.Dispose();
        _file = file!;
        LogReopened(path);
    }

    [LoggerMessage(LogLevel.Error, "the access log {path} cannot be written: {reason}; lines are lost until it can")]
    private partial void LogFailing(string path, string reason);

    [LoggerMessage(LogLevel.Information, "the access log {path} is written again; {dropped} lines were lost since the start")]
    private partial void LogWorksAgain(string path, long dropped);

    [LoggerMessage(LogLevel.Error, "the access log {path} cannot be opened anew: {reason}; it is written where it was written before")]
    private partial void LogNotReopened(string path, string reason);

    [LoggerMessage(LogLevel.Information, "the access log {path} was opened anew")]
    private partial void LogReopened(string path);
}
