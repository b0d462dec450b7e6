using System.Buffers;
using System.Threading.Channels;

namespace FastLB.Logging;

/// <summary>
/// Writes log lines to a stream from one thread of its own, so that nobody who logs ever waits for a slow terminal or a full
/// pipe. What does not fit into the queue is dropped, counted, and the count is logged as soon as there is room.
/// </summary>
internal sealed class LogWriter : IDisposable
{
    /// <summary>Lines that may wait. At 200 bytes each that is about 1.6 MB at worst.</summary>
    public const int Capacity = 8192;

    /// <summary>Writes as soon as this much is formatted, or when nothing more waits.</summary>
    private const int BatchBytes = 32 * 1024;

    /// <summary>How long the end of the process may wait for a reader that takes nothing.</summary>
    private static readonly TimeSpan FlushPatience = TimeSpan.FromSeconds(2);

    private readonly Channel<LogLine> _lines = Channel.CreateBounded<LogLine>(new BoundedChannelOptions(Capacity) { SingleReader = true });
    private readonly ArrayBufferWriter<byte> _bytes = new(BatchBytes * 2);
    private readonly Stream _stream;
    private readonly Action<LogLine, ArrayBufferWriter<byte>> _format;
    private readonly Thread _thread;
    private long _dropped;

    public LogWriter(Stream stream, Action<LogLine, ArrayBufferWriter<byte>> format)
    {
        _stream = stream;
        _format = format;
        _thread = new Thread(WriteAll) { IsBackground = true, Name = "fastlb-log" };
        _thread.Start();
    }

    /// <summary>Queues a line. Never waits; safe from every thread.</summary>
    public void Write(LogLine line)
    {
        if (!_lines.Writer.TryWrite(line))
        {
            Interlocked.Increment(ref _dropped);
        }
    }

    /// <summary>Writes what waits and ends. Lines that come later are lost.</summary>
    public void Dispose()
    {
        _lines.Writer.TryComplete();
        _thread.Join(FlushPatience);
    }

    private void WriteAll()
    {
        var reader = _lines.Reader;
        while (reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (reader.TryRead(out var line))
            {
                _format(line, _bytes);
                if (_bytes.WrittenCount >= BatchBytes)
                {
                    Flush();
                }
            }

            ReportDropped();
            Flush();
        }
    }

    private void ReportDropped()
    {
        var dropped = Interlocked.Exchange(ref _dropped, 0);
        if (dropped > 0)
        {
            _format(
                new LogLine(
                    DateTimeOffset.UtcNow,
                    LogLevel.Warning,
                    "log",
                    $"{dropped} log lines were dropped because they came faster than stderr took them",
                    [new("dropped", dropped)],
                    null),
                _bytes);
        }
    }

    private void Flush()
    {
        try
        {
            _stream.Write(_bytes.WrittenSpan);
            _stream.Flush();
        }
        catch (Exception)
        {
            // Nobody reads stderr any more, or it is something that takes no bytes, which the runtime reports in many ways. There is
            // no other place to say so, and serving goes on.
        }

        _bytes.ResetWrittenCount();
    }
}
