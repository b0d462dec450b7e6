using FastLB.Configuration;
using FastLB.Logging;

namespace FastLB.Commands;

/// <summary>What a command line asks to run, or every reason why it cannot be run.</summary>
/// <param name="Settings">Null when there are mistakes.</param>
/// <param name="Errors">Whole sentences or <c>file:line:column: ...</c>, ready to be printed.</param>
internal sealed record Plan(
    Settings? Settings,
    IReadOnlyList<string> Errors,
    IReadOnlyList<Mistake> Warnings,
    LogFormat LogFormat)
{
    public static Plan Refused(params string[] errors) => new(null, errors, [], LogFormat.Text);

    /// <summary>The file that the settings come from; null when there is none.</summary>
    public string? File { get; init; }

    public static Plan Of(ConfigurationResult file, LogFormat logFormat) => new(
        file.Settings,
        [.. file.Errors.Select(e => e.ToString())],
        file.Warnings,
        logFormat);

    /// <summary>Prints what is wrong. True when there is something to run.</summary>
    public bool TryReport(TextWriter error, out Settings settings)
    {
        foreach (var mistake in Errors)
        {
            error.WriteLine(mistake);
        }

        settings = Settings!;
        return Settings is not null;
    }
}
