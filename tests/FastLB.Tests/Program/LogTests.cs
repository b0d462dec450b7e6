using System.Buffers;
using System.Text;
using System.Text.Json;
using FastLB.Logging;
using Microsoft.Extensions.Logging;

namespace FastLB.Tests.Programs;

public class LogTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 2, 12, 3, 4, 123, TimeSpan.Zero);

    [Fact]
    public void A_text_line_has_time_level_category_and_message() =>
        Assert.Equal(
            "12:03:04.123 info  fleet   app/0 generation 1 is ready\n",
            Text(new LogLine(Noon, LogLevel.Information, "fleet", "app/0 generation 1 is ready", [], null)));

    [Fact]
    public void Lines_of_a_message_stand_under_each_other_and_control_characters_are_shown()
    {
        var line = new LogLine(Noon, LogLevel.Error, "worker", "one\r\ntwo \e[31m\u0007\tthree\n", [], "boom\n   at here");

        Assert.Equal(
            "12:03:04.123 error worker  one\n" +
            "                           two \\x1b[31m\\x07\tthree\n" +
            "                           boom\n" +
            "                              at here\n",
            Text(line));
    }

    [Fact]
    public void Colour_is_only_for_those_who_want_it()
    {
        var line = new LogLine(Noon, LogLevel.Warning, "fleet", "slow", [], null);

        Assert.Contains("\e[33mwarn \e[0m", Text(line, colour: true), StringComparison.Ordinal);
        Assert.DoesNotContain("\e", Text(line), StringComparison.Ordinal);
    }

    [Fact]
    public void A_json_line_is_one_object_with_the_named_values()
    {
        var text = Json(new LogLine(
            Noon,
            LogLevel.Warning,
            "fleet",
            "app/0 \"ended\"\n",
            [new("worker", "app/0"), new("exit", 3), new("ok", false), new("load", 1.5), new("none", null), new("message", "mine"), new("exit", 4)],
            "boom"));

        Assert.Equal(
            """{"time":"2026-01-02T12:03:04.123Z","level":"warn","category":"fleet","message":"app/0 \"ended\"\n","exception":"boom","worker":"app/0","exit":3,"ok":false,"load":1.5,"none":null,"_message":"mine"}""" + "\n",
            text);
        JsonDocument.Parse(text).Dispose();
    }

    [Fact]
    public void What_is_logged_is_written_with_its_values_before_the_log_ends()
    {
        using var stream = new MemoryStream();
        using (var provider = new LogProvider(stream, LogFormat.Json, colour: false))
        using (var factory = LogProvider.CreateFactory(provider))
        {
            factory.CreateLogger("FastLB.Fleet.Supervisor").LogInformation("{Worker} took {Milliseconds} ms", "app/0", 12);
            factory.CreateLogger("supervisor").LogDebug("not wanted");
            factory.CreateLogger("Microsoft.AspNetCore.Hosting").LogInformation("chatter");
            factory.CreateLogger("Microsoft.AspNetCore.Hosting").LogWarning("wanted");
        }

        var lines = Encoding.UTF8.GetString(stream.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Length);
        using var first = JsonDocument.Parse(lines[0]);
        Assert.Equal("app/0 took 12 ms", first.RootElement.GetProperty("message").GetString());
        Assert.Equal("supervisor", first.RootElement.GetProperty("category").GetString());
        Assert.Equal("app/0", first.RootElement.GetProperty("Worker").GetString());
        Assert.Equal(12, first.RootElement.GetProperty("Milliseconds").GetInt32());
        Assert.Contains("\"message\":\"wanted\"", lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_reader_that_takes_nothing_costs_lines_and_not_time_and_the_loss_is_told()
    {
        using var stream = new BlockedStream();
        var written = 0;
        using (var provider = new LogProvider(stream, LogFormat.Text, colour: false))
        {
            var log = provider.CreateLogger("flood");
            log.LogInformation("first");
            stream.WaitUntilBlocked();

            // The writer stands still now: the queue takes its capacity and the rest is dropped, without waiting.
            for (; written < LogWriter.Capacity + 500; written++)
            {
                log.LogInformation("more");
            }

            stream.Unblock();
        }

        var text = stream.Text;
        Assert.Contains("500 log lines were dropped because they came faster than stderr took them", text, StringComparison.Ordinal);
        Assert.Equal(LogWriter.Capacity, text.Split("more").Length - 1);
    }

    [Fact]
    public void A_stream_that_fails_in_an_unusual_way_costs_lines_and_the_log_goes_on()
    {
        using var stream = new RefusingStream();
        using (var provider = new LogProvider(stream, LogFormat.Text, colour: false))
        {
            var log = provider.CreateLogger("log");
            log.LogInformation("lost");
            Assert.True(stream.Refused.Wait(TimeSpan.FromSeconds(30)), "the writer tries");
            log.LogInformation("kept");
        }

        Assert.Contains("kept", Encoding.UTF8.GetString(stream.ToArray()), StringComparison.Ordinal);
    }

    /// <summary>Refuses the first write as a stream on a closed descriptor does.</summary>
    private sealed class RefusingStream : MemoryStream
    {
        public ManualResetEventSlim Refused { get; } = new();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (!Refused.IsSet)
            {
                Refused.Set();
                throw new UnauthorizedAccessException();
            }

            base.Write(buffer);
        }
    }

    private static string Text(LogLine line, bool colour = false)
    {
        var output = new ArrayBufferWriter<byte>();
        new TextLogFormat(colour, TimeZoneInfo.Utc).Write(line, output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static string Json(LogLine line)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonLogFormat.Write(line, output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    /// <summary>A pipe that nobody reads until it is unblocked.</summary>
    private sealed class BlockedStream : MemoryStream
    {
        private readonly ManualResetEventSlim _blocked = new();
        private readonly ManualResetEventSlim _open = new();
        private readonly StringBuilder _text = new();

        public string Text => _text.ToString();

        public void WaitUntilBlocked() => Assert.True(_blocked.Wait(TimeSpan.FromSeconds(30)), "the writer writes");

        public void Unblock() => _open.Set();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _blocked.Set();
            _open.Wait();
            _text.Append(Encoding.UTF8.GetString(buffer));
        }
    }
}
