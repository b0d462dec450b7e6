using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace FastLB.SystemTests.Fleet;

internal sealed record LogLine(string Category, LogLevel Level, string Text);

/// <summary>Keeps what was logged, for tests to look at from their own thread.</summary>
internal sealed class RecordedLog : ILoggerFactory
{
    private readonly ConcurrentQueue<LogLine> _lines = new();

    public LogLine[] Lines => [.. _lines];

    public bool Has(string text) => _lines.Any(line => line.Text.Contains(text, StringComparison.Ordinal));

    public override string ToString() => string.Join("\n", _lines.Select(line => $"{line.Category} {line.Level}: {line.Text}"));

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public ILogger CreateLogger(string categoryName) => new Recorder(this, categoryName);

    public void Dispose()
    {
    }

    private sealed class Recorder(RecordedLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log._lines.Enqueue(new LogLine(category, logLevel, formatter(state, exception)));
    }
}
