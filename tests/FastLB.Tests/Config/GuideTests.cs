using System.Text.RegularExpressions;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary>What the guides print as a configuration is one.</summary>
public sealed partial class GuideTests
{
    [Theory]
    [InlineData("observing.md")]
    [InlineData("websockets.md")]
    public void The_example_of_a_guide_is_read(string guide)
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "FastLB.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        var example = Example().Match(File.ReadAllText(Path.Combine(root, "docs", guide))).Groups[1].Value;
        var result = ConfigurationSample.Read(example);
        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        if (guide == "websockets.md")
        {
            Assert.Equal((600_000, 86_400_000), (result.Settings!.Pools[0].Timeouts.TunnelMs, result.Settings.Pools[0].Timeouts.TunnelLifetimeMs));
        }
    }

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Example();
}
