namespace FastLB.SystemTests;

/// <summary>Where the checkout is, so that tests run the same program and examples that a user does.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>The program under test, as the build put it beside the tests.</summary>
    public static string FastLbAssembly => Path.Combine(AppContext.BaseDirectory, "fastlb.dll");

    public static string Example(string name) => Path.Combine(Root, "examples", name);

    private static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "FastLB.sln")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException("FastLB.sln is in no directory above the tests");
    }
}
