using System.Text;
using Microsoft.Extensions.Logging;

namespace FastLB.Tests.Recording;

/// <summary>Keeps what was logged. Any thread.</summary>
internal sealed class RecordedLog : ILogger, IDisposable
{
    private readonly StringBuilder _text = new();

    public string Text
    {
        get
        {
            lock (_text)
            {
                return _text.ToString();
            }
        }
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_text)
        {
            _text.AppendLine(formatter(state, exception));
        }
    }

    public void Dispose()
    {
        // There is nothing to give back.
    }
}
