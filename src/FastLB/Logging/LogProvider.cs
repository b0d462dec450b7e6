using System.Globalization;

namespace FastLB.Logging;

/// <summary>The log of this program: all categories, one <see cref="LogWriter"/>. Disposing it flushes.</summary>
[ProviderAlias("FastLB")]
internal sealed class LogProvider : ILoggerProvider
{
    private readonly LogWriter _writer;

    public LogProvider(Stream stream, LogFormat format, bool colour)
    {
        var text = new TextLogFormat(colour, TimeZoneInfo.Local);
        _writer = new LogWriter(stream, format == LogFormat.Json ? JsonLogFormat.Write : text.Write);
    }

    /// <summary>Standard error, coloured when a person watches and has not said otherwise (no-color.org).</summary>
    public static LogProvider ForStandardError(LogFormat format) => new(
        Console.OpenStandardError(),
        format,
        colour: !Console.IsErrorRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")));

    /// <summary>Everything of ours from information on; of the web framework only what went wrong.</summary>
    public static ILoggerFactory CreateFactory(LogProvider provider) => LoggerFactory.Create(logging => logging
        .SetMinimumLevel(LogLevel.Information)
        .AddFilter("Microsoft", LogLevel.Warning)
        .AddFilter("System", LogLevel.Warning)
        .AddProvider(provider));

    public ILogger CreateLogger(string categoryName) => new CategoryLog(_writer, ShortName(categoryName));

    public void Dispose() => _writer.Dispose();

    /// <summary>The last part of a dotted name in lower case: <c>FastLB.Fleet.Supervisor</c> is <c>supervisor</c>.</summary>
    internal static string ShortName(string category) => category[(category.LastIndexOf('.') + 1)..].ToLowerInvariant();

    private sealed class CategoryLog(LogWriter writer, string category) : ILogger
    {
        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                writer.Write(new LogLine(
                    DateTimeOffset.UtcNow,
                    logLevel,
                    category,
                    formatter(state, exception),
                    state is IReadOnlyList<KeyValuePair<string, object?>> values ? Frozen(values) : [],
                    exception?.ToString()));
            }
        }

        /// <summary>The named values as they are now; the message's template is left out.</summary>
        private static List<KeyValuePair<string, object?>> Frozen(IReadOnlyList<KeyValuePair<string, object?>> values)
        {
            var frozen = new List<KeyValuePair<string, object?>>(values.Count);
            for (var i = 0; i < values.Count; i++)
            {
                if (values[i].Key != "{OriginalFormat}")
                {
                    frozen.Add(new(values[i].Key, Frozen(values[i].Value)));
                }
            }

            return frozen;
        }

        private static object? Frozen(object? value) => value switch
        {
            null or string or bool or int or long or uint or ulong or short or ushort or byte or sbyte or double or float or decimal => value,
            IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString(),
        };
    }
}
