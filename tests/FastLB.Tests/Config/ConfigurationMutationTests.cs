using FastLB.Configuration;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary>Whatever a file says, reading it ends with settings or with errors that have a place, and never with an exception.</summary>
public class ConfigurationMutationTests
{
    private const string Characters = "abz019 \n\t:-[]{},\"'#&*!|>%@`~<?=\\/.\0\r\u00fc\u2028";

    [Fact]
    public void A_damaged_file_is_read_or_its_mistakes_are_told() =>
        Prop.ForAll(
            Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(),
            seed => IsReadOrRefused(Damage(ConfigurationSample.Text, seed), $"seed {seed}"))
        .Check(Config.QuickThrowOnFailure.WithMaxTest(1500));

    [Fact]
    public void Arbitrary_text_is_read_or_its_mistakes_are_told() =>
        Prop.ForAll(
            ArbMap.Default.ArbFor<string>(),
            text => IsReadOrRefused(text ?? "", $"text '{text}'"))
        .QuickCheckThrowOnFailure();

    /// <summary>One to eight characters deleted, inserted, doubled, or lines moved; the seed decides.</summary>
    internal static string Damage(string text, int seed)
    {
        var random = new System.Random(seed);
        for (var changes = random.Next(1, 9); changes > 0 && text.Length > 0; changes--)
        {
            var at = random.Next(text.Length);
            var length = Math.Min(random.Next(1, 20), text.Length - at);
            text = random.Next(4) switch
            {
                0 => text.Remove(at, 1),
                1 => text.Insert(at, Characters[random.Next(Characters.Length)].ToString()),
                2 => text.Insert(at, text.Substring(at, length)),
                _ => text.Remove(at, length),
            };
        }

        return text;
    }

    private static bool IsReadOrRefused(string text, string what)
    {
        // YAML 1.1 also ends a line at a carriage return and at three characters of Unicode.
        var lines = text.Split('\n', '\r', '\u0085', '\u2028', '\u2029').Length;
        var result = ConfigurationSample.Read(text);
        Assert.True(result.Settings is not null == (result.Errors.Count == 0), $"{what}: settings or errors, not both or neither");
        Assert.All(result.Errors, e => Assert.True(e.Line >= 1 && e.Line <= lines + 1 && e.Column >= 1, $"{what}: {e} has no place in {lines} lines"));
        return true;
    }
}
