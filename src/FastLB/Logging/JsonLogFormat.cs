using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace FastLB.Logging;

/// <summary>
/// <c>{"time":"2026-01-02T12:03:04.123Z","level":"info","category":"fleet","message":"...","worker":"app/0"}</c>. The named values of a
/// message stand beside its own four fields, each name once; one that has the name of such a field gets an underscore in front.
/// </summary>
internal static class JsonLogFormat
{
    // Readable quotes and letters; a log line is not put into a web page unescaped.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(LogLine line, ArrayBufferWriter<byte> output)
    {
        using (var json = new Utf8JsonWriter(output, Options))
        {
            json.WriteStartObject();
            json.WriteString(
                "time",
                line.Time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
            json.WriteString("level", NameOf(line.Level));
            json.WriteString("category", line.Category);
            json.WriteString("message", line.Message);
            if (line.Exception is not null)
            {
                json.WriteString("exception", line.Exception);
            }

            for (var i = 0; i < line.Values.Count; i++)
            {
                if (!IsRepeated(line.Values, i))
                {
                    WriteValue(json, line.Values[i].Key, line.Values[i].Value);
                }
            }

            json.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    private static bool IsRepeated(IReadOnlyList<KeyValuePair<string, object?>> values, int index)
    {
        for (var i = 0; i < index; i++)
        {
            if (values[i].Key == values[index].Key)
            {
                return true;
            }
        }

        return false;
    }

    private static void WriteValue(Utf8JsonWriter json, string key, object? value)
    {
        json.WritePropertyName(key is "time" or "level" or "category" or "message" or "exception" ? $"_{key}" : key);
        switch (value)
        {
            case null: json.WriteNullValue(); break;
            case bool truth: json.WriteBooleanValue(truth); break;
            case int or short or ushort or byte or sbyte or long: json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture)); break;
            case uint or ulong: json.WriteNumberValue(Convert.ToUInt64(value, CultureInfo.InvariantCulture)); break;
            case decimal number: json.WriteNumberValue(number); break;
            case double or float when double.IsFinite(Convert.ToDouble(value, CultureInfo.InvariantCulture)):
                json.WriteNumberValue(Convert.ToDouble(value, CultureInfo.InvariantCulture));
                break;
            default: json.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture)); break;
        }
    }

    private static string NameOf(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "error",
        _ => "fatal",
    };
}
