using System.Text.RegularExpressions;

namespace FastLB.Tests;

/// <summary>The house's walls: who may know whom, read from the <c>using</c> lines of the sources.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly string s_source = Path.Combine(FindRoot(), "src");

    /// <summary>What each room of Core may use besides the vocabulary in Core itself. Proxy, where the stories are told, knows all.</summary>
    private static readonly Dictionary<string, string[]> s_rooms = new()
    {
        ["Loop"] = [],
        ["Http"] = ["Loop"],
        ["Routing"] = ["Loop", "Http", "Resilience"],
        ["Forwarding"] = ["Loop", "Http"],
        ["Balancing"] = ["Loop", "Http", "Resilience", "Forwarding"],
        ["Resilience"] = ["Loop"],
        ["Metrics"] = [],
        ["Recording"] = ["Loop", "Metrics"],
        ["Proxy"] = ["Loop", "Http", "Routing", "Balancing", "Resilience", "Metrics", "Forwarding", "Recording"],
    };

    private static readonly Dictionary<string, string[]> s_projects = new()
    {
        ["FastLB.Core"] = ["FastLB.Core"],
        ["FastLB.Linux"] = ["FastLB.Core", "FastLB.Linux"],
        ["FastLB.Fleet"] = ["FastLB.Core", "FastLB.Linux", "FastLB.Fleet"],
    };

    [Fact]
    public void Rooms_of_Core_use_only_the_rooms_below_them()
    {
        foreach (var directory in Directory.GetDirectories(Path.Combine(s_source, "FastLB.Core")).Where(IsSource))
        {
            var room = Path.GetFileName(directory);
            Assert.True(s_rooms.TryGetValue(room, out var allowed), $"the room {room} has no rule here");
            foreach (var (file, used) in UsingsBelow(directory).Where(u => u.Namespace.StartsWith("FastLB.Core.", StringComparison.Ordinal)))
            {
                var other = used["FastLB.Core.".Length..];
                Assert.True(other == room || allowed.Contains(other), $"{file} in {room} uses {other}");
            }
        }
    }

    [Fact]
    public void Projects_depend_downwards_only()
    {
        foreach (var (project, allowed) in s_projects)
        {
            foreach (var (file, used) in UsingsBelow(Path.Combine(s_source, project)).Where(u => u.Namespace.StartsWith("FastLB", StringComparison.Ordinal)))
            {
                Assert.True(allowed.Any(a => used == a || used.StartsWith(a + ".", StringComparison.Ordinal)), $"{file} in {project} uses {used}");
            }
        }
    }

    [Fact]
    public void Core_has_no_clock_no_threads_and_no_sockets()
    {
        string[] forbidden = ["DateTime", "Stopwatch", "Environment.TickCount", "Thread.", "Task.", "System.Net.Sockets", "System.Threading.Tasks"];
        foreach (var file in SourcesBelow(Path.Combine(s_source, "FastLB.Core")))
        {
            var code = CommentPattern().Replace(File.ReadAllText(file), "");
            Assert.All(forbidden, word => Assert.False(code.Contains(word, StringComparison.Ordinal), $"{file} uses {word}"));
        }
    }

    [Fact]
    public void Only_Linux_has_unsafe_code()
    {
        foreach (var file in Directory.GetFiles(s_source, "*.csproj", SearchOption.AllDirectories))
        {
            var allows = File.ReadAllText(file).Contains("<AllowUnsafeBlocks>true", StringComparison.Ordinal);
            Assert.Equal(Path.GetFileNameWithoutExtension(file) == "FastLB.Linux", allows);
        }
    }

    private static bool IsSource(string path) => Path.GetFileName(path) is not ("bin" or "obj");

    private static IEnumerable<string> SourcesBelow(string directory) => Directory.GetFiles(directory, "*.cs", SearchOption.AllDirectories)
        .Where(f => !f.Contains("/obj/", StringComparison.Ordinal) && !f.Contains("/bin/", StringComparison.Ordinal));

    private static IEnumerable<(string File, string Namespace)> UsingsBelow(string directory) =>
        from file in SourcesBelow(directory)
        from Match match in UsingPattern().Matches(File.ReadAllText(file))
        select (file, match.Groups[1].Value);

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "FastLB.sln")))
        {
            directory = directory.Parent ?? throw new InvalidOperationException("FastLB.sln is in no directory above the tests");
        }

        return directory.FullName;
    }

    [GeneratedRegex(@"^using (?:static )?(?:\w+ = )?([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex UsingPattern();

    [GeneratedRegex(@"//.*")]
    private static partial Regex CommentPattern();
}
