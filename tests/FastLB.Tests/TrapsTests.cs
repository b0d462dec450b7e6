using System.Globalization;
using System.Text.RegularExpressions;

namespace FastLB.Tests;

/// <summary>docs/traps.md names a test for each trap, and each of these tests is in the sources of one of the test projects.</summary>
public sealed partial class TrapsTests
{
    private static readonly string s_root = FindRoot();

    [Fact]
    public void Every_trap_is_listed_once_in_order_with_a_test()
    {
        var traps = TrapPattern().Matches(Document());
        Assert.Equal(Enumerable.Range(1, 28), traps.Select(t => int.Parse(t.Groups[1].Value, CultureInfo.InvariantCulture)));
        Assert.All(traps, t => Assert.NotEmpty(NamePattern().Matches(t.Value)));
    }

    [Fact]
    public void Every_test_that_is_named_exists()
    {
        var tests = Tests().ToHashSet();
        Assert.Contains($"{nameof(TrapsTests)}.{nameof(Every_test_that_is_named_exists)}", tests);
        var missing = NamePattern().Matches(Document()).Select(m => m.Groups[1].Value).Where(name => !tests.Contains(name));
        Assert.Equal("", string.Join('\n', missing));
    }

    private static string Document() => File.ReadAllText(Path.Combine(s_root, "docs", "traps.md"));

    /// <summary>All tests of all projects as <c>Class.Test</c>. The classes of the other projects are not loaded here, so the sources are read.</summary>
    private static IEnumerable<string> Tests()
    {
        foreach (var file in Directory.GetFiles(Path.Combine(s_root, "tests"), "*Tests.cs", SearchOption.AllDirectories)
            .Concat(Directory.GetFiles(Path.Combine(s_root, "tests", "FastLB.Simulation", "Contract"), "*.cs")))
        {
            var declared = "";
            foreach (Match match in DeclarationPattern().Matches(File.ReadAllText(file)))
            {
                if (match.Groups["class"].Success)
                {
                    declared = match.Groups["class"].Value;
                }
                else
                {
                    yield return $"{declared}.{match.Groups["test"].Value}";
                }
            }
        }
    }

    private static string FindRoot()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "FastLB.sln")))
        {
            directory = Path.GetDirectoryName(directory)!;
        }

        return directory;
    }

    /// <summary>A numbered entry with its name in bold, up to the next one or a heading.</summary>
    [GeneratedRegex(@"^(\d+)\. \*\*[^*]+\.\*\* .*?(?=^\d+\. |^#|\z)", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex TrapPattern();

    [GeneratedRegex(@"`([A-Z]\w+\.[A-Z]\w*_\w+)`")]
    private static partial Regex NamePattern();

    /// <summary>A class at the beginning of its line, or a method under an attribute that makes it a test.</summary>
    [GeneratedRegex(@"^(?:public|internal) .*?class (?<class>\w+)|^    \[(?:Fact|Theory|NeedsToolsFact)\b.*\n(?:    .*[^{;]\n)*?    public (?:static )?(?:async )?(?:Task|void) (?<test>\w+)\(", RegexOptions.Multiline)]
    private static partial Regex DeclarationPattern();
}
