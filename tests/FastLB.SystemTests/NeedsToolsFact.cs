namespace FastLB.SystemTests;

/// <summary>A test that uses programs besides the .NET SDK; where one is missing it is skipped and says which.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NeedsToolsFactAttribute : FactAttribute
{
    public NeedsToolsFactAttribute(params string[] tools)
    {
        var missing = tools.Where(t => !IsInstalled(t)).ToArray();
        if (missing.Length > 0)
        {
            Skip = $"not installed: {string.Join(", ", missing)} (scripts/install-test-tools.sh installs what the tests use)";
        }
    }

    /// <summary>How many processors the test needs; with fewer it is skipped.</summary>
    public int Cores
    {
        get;
        init
        {
            field = value;
            if (Environment.ProcessorCount < value)
            {
                Skip ??= $"needs {value} cores, and there are {Environment.ProcessorCount}";
            }
        }
    }

    private static bool IsInstalled(string tool) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(':', StringSplitOptions.RemoveEmptyEntries)
        .Any(directory => File.Exists(Path.Combine(directory, tool)));
}
