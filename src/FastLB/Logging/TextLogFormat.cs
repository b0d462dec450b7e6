using System.Buffers;
using System.Globalization;
using System.Text;

namespace FastLB.Logging;

/// <summary>
/// <c>12:03:04.123 info  fleet   app/0 generation 1 is ready</c>: local time, level, category, message. Control characters are
/// shown as <c>\x1b</c>, so that nothing that a worker or a client sent can steer the reader's terminal.
/// </summary>
internal sealed class TextLogFormat(bool colour, TimeZoneInfo zone)
{
    private const string Reset = "\e[0m";
    private const string Dim = "\e[2m";

    /// <summary>Where the message starts; the lines below a message of several lines stand there as well.</summary>
    private const int MessageColumn = 27;

    public void Write(LogLine line, ArrayBufferWriter<byte> output)
    {
        var time = TimeZoneInfo.ConvertTime(line.Time, zone);
        var (level, levelColour) = LevelOf(line.Level);
        var text = new StringBuilder(128)
            .Append(colour ? Dim : "")
            .Append(time.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture))
            .Append(colour ? Reset : "")
            .Append(' ')
            .Append(colour ? levelColour : "")
            .Append(level.PadRight(5))
            .Append(colour && levelColour.Length > 0 ? Reset : "")
            .Append(' ')
            .Append(line.Category.PadRight(7))
            .Append(' ');
        AppendPlain(text, line.Message);
        if (line.Exception is not null)
        {
            text.Append('\n').Append(' ', MessageColumn);
            AppendPlain(text, line.Exception);
        }

        text.Append('\n');
        foreach (var chunk in text.GetChunks())
        {
            Encoding.UTF8.GetBytes(chunk.Span, output);
        }
    }

    private static void AppendPlain(StringBuilder text, string value)
    {
        foreach (var c in value.AsSpan().TrimEnd("\r\n"))
        {
            if (c == '\n')
            {
                text.Append('\n').Append(' ', MessageColumn);
            }
            else if (c == '\t' || !char.IsControl(c))
            {
                text.Append(c);
            }
            else if (c != '\r')
            {
                text.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}");
            }
        }
    }

    private static (string Name, string Colour) LevelOf(LogLevel level) => level switch
    {
        LogLevel.Trace => ("trace", Dim),
        LogLevel.Debug => ("debug", Dim),
        LogLevel.Information => ("info", ""),
        LogLevel.Warning => ("warn", "\e[33m"),
        LogLevel.Error => ("error", "\e[31m"),
        _ => ("fatal", "\e[1;31m"),
    };
}
