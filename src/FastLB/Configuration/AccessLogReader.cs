using FastLB.AccessLog;
using FastLB.Core.Recording;

namespace FastLB.Configuration;

/// <summary>
/// Reads <c>accessLog</c>: at the top where the lines go and which there are, in a listener <c>false</c> or which there are of its requests.
/// </summary>
internal sealed class AccessLogReader(Mistakes mistakes, string baseDirectory)
{
    private const double SmallestShare = 0.000_001;

    private static readonly string[] Keys = ["format", "to", "sample", "only"];

    /// <summary>What listeners inherit; null without a log.</summary>
    public AccessLogFilter? Inherited { get; private set; }

    /// <summary>The log of the whole file; null: none.</summary>
    public AccessLogSettings? ReadTop(Section top)
    {
        var node = top.Find("accessLog");
        if (node is null or ScalarNode { Text: "false" } || Section.Open(node, "accessLog", Keys, mistakes) is not { } log)
        {
            return null;
        }

        Inherited = ReadFilter(log, new AccessLogFilter());
        var format = log.Choice("format", ("json", AccessLogFormat.Json), ("combined", AccessLogFormat.Combined)) ?? AccessLogFormat.Json;
        if (log.Find("to") is null)
        {
            mistakes.Error(top.FindKey("accessLog")!, "accessLog: 'to' is missing; write to: stderr, or the path of a file");
            return null;
        }

        if (log.Text("to", "stderr or the path of a file") is not { } to)
        {
            return null;
        }

        if (to.Text == "stderr")
        {
            return new AccessLogSettings(format, null, new SourcePlace(mistakes.PlaceOf(to)));
        }

        if (!to.Text.Contains('/', StringComparison.Ordinal))
        {
            mistakes.Error(to, $"to: expected stderr or a path with a '/', found '{to.Text}'; for a file in this directory write ./{to.Text}");
        }
        else if (to.Text.Contains('\0', StringComparison.Ordinal) || Directory.Exists(Path.GetFullPath(to.Text, baseDirectory)))
        {
            mistakes.Error(to, $"to: '{to.Text}' is a directory; name the file in it, like {to.Text.TrimEnd('/')}/access.log");
        }

        return new AccessLogSettings(format, Path.GetFullPath(to.Text.Replace("\0", "", StringComparison.Ordinal), baseDirectory), new SourcePlace(mistakes.PlaceOf(to)));
    }

    /// <summary>Which requests of a listener are written; null: none.</summary>
    public AccessLogFilter? ReadListener(Section listener)
    {
        switch (listener.Find("accessLog"))
        {
            case null:
                return Inherited;
            case ScalarNode { Text: "false" }:
                return null;
            case var node when Inherited is null:
                mistakes.Error(node, $"accessLog: {listener.Name} has none to change; write 'accessLog: {{ to: stderr }}' at the top of the file");
                return null;
            case var node:
                if (Section.Open(node, $"accessLog of {listener.Name}", Keys, mistakes) is not { } log)
                {
                    return null;
                }

                foreach (var key in new[] { "format", "to" })
                {
                    if (log.FindKey(key) is { } misplaced)
                    {
                        mistakes.Error(misplaced, $"'{key}' has no meaning in {log.Name}; there is one log, which 'accessLog' at the top of the file describes");
                    }
                }

                return ReadFilter(log, Inherited);
        }
    }

    private AccessLogFilter ReadFilter(Section log, AccessLogFilter parent)
    {
        if (log.FindKey("sample") is not null && log.FindKey("only") is { } only)
        {
            mistakes.Error(only, $"{log.Name} has both 'sample' and 'only'; which requests fail is not known when chance decides, so write one of them");
        }

        if (log.FindKey("only") is not null)
        {
            var choice = log.Choice("only", ("errors", true), ("all", false)) ?? false;
            return new AccessLogFilter(1, choice);
        }

        return log.Share("sample", SmallestShare) is { } share ? new AccessLogFilter(share) : parent;
    }
}
