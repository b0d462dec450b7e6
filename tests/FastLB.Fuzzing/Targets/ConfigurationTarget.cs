using System.Text;
using FastLB.Configuration;
using FastLB.Core.Loop;
using FastLB.Tests.ConfigurationFiles;

namespace FastLB.Fuzzing.Targets;

/// <summary>
/// A configuration file: it gives settings or mistakes with places, never an exception, and read twice it gives equal settings. As YAML it is compared as in <see cref="YamlTarget"/>.
/// </summary>
internal sealed class ConfigurationTarget : FuzzTarget
{
    private readonly string[] _texts = [ConfigurationSample.Text, .. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Guides"), "*.md").Order().SelectMany(YamlOf)];

    public ConfigurationTarget() => Fragments =
    [
        .. _texts.SelectMany(t => t.Split('\n')).Distinct().Select(l => Encoding.UTF8.GetBytes(l + "\n")),
        .. new[] { "- ", ": ", ":\n", "[", "]", "{", "}", ", ", "\"", "'", "#", "&a ", "*a", "!t ", "|\n", ">-\n", "---\n", "...\n", "? ", "%YAML 1.2\n", "\t", "  ", "\u00fc", "\u2028", "<<: ", "null", "~", "yes", "-1", "1e9", "99999999999", "0x1", "\\", "\ufeff", "\u0085" }
            .Select(Encoding.UTF8.GetBytes),
    ];

    public override string Name => "configuration";

    public override int MaxBytes => 3_000;

    public override IReadOnlyList<byte[]> Fragments { get; }

    public override byte[] Generate(RandomSource chance)
    {
        var text = chance.Chance(0.5) ? _texts[0] : _texts[chance.Next(_texts.Length)];
        if (chance.Chance(0.3))
        {
            return Encoding.UTF8.GetBytes(text);
        }

        // Some lines go, some come from elsewhere.
        var lines = text.Split('\n').Where(_ => !chance.Chance(0.02)).SelectMany(l => chance.Chance(0.02) ? [l, Encoding.UTF8.GetString(Fragments[chance.Next(Fragments.Count)]).TrimEnd('\n')] : new[] { l });
        return Encoding.UTF8.GetBytes(string.Join('\n', lines));
    }

    public override ulong Run(byte[] input)
    {
        var text = Encoding.UTF8.GetString(input);
        var yaml = YamlTarget.Check(text, out _);
        var result = ConfigurationSample.Read(text);
        Require(result.Settings is not null == (result.Errors.Count == 0), "settings or errors, not both or neither");

        Accepted += result.Settings is null ? 0 : 1;

        // YAML 1.1 also ends a line at a carriage return and at three characters of Unicode.
        var lines = text.Split('\n', '\r', '\u0085', '\u2028', '\u2029').Length;
        foreach (var mistake in result.Errors.Concat(result.Warnings))
        {
            Require((mistake.Line == 0 && result.Errors.Count > Mistakes.MaxErrors) || (mistake.Line >= 1 && mistake.Line <= lines + 1 && mistake.Column >= 1), $"{mistake} has no place in {lines} lines");
        }

        Require(Equals(result.Settings, ConfigurationSample.Read(text).Settings), "read twice it gives other settings");
        var kinds = result.Errors.Select(e => (long)Signal.Of(string.Concat(e.Text.Where(char.IsLetter).Take(12)))).Order().Take(3).ToArray();
        return Signal.Of((long)yaml, result.Errors.Count > 5 ? 5 : result.Errors.Count, Math.Min(result.Warnings.Count, 3), (long)Signal.Of(kinds), result.Settings?.Listeners.Count ?? -1, result.Settings?.Pools.Count ?? -1);
    }

    private static IEnumerable<string> YamlOf(string path) =>
        File.ReadAllText(path).Split("```yaml\n").Skip(1).Select(block => block[..block.IndexOf("```", StringComparison.Ordinal)]);
}
