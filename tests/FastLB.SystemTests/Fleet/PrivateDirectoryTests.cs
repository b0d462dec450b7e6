using System.Runtime.Versioning;
using FastLB.Linux;

namespace FastLB.SystemTests.Fleet;

[SupportedOSPlatform("linux")]
public sealed class PrivateDirectoryTests : IDisposable
{
    private readonly string _place = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;

    public void Dispose() => Directory.Delete(_place, recursive: true);

    [Fact]
    public void Only_its_owner_can_enter_it_and_its_name_is_new()
    {
        var one = PrivateDirectory.CreateIn([_place], 100);
        var other = PrivateDirectory.CreateIn([_place], 100);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(one));
        Assert.Equal(_place, Path.GetDirectoryName(one));
        Assert.NotEqual(one, other);
    }

    [Fact]
    public void The_first_place_that_takes_it_is_used()
    {
        var crowded = Path.Combine(_place, new string('x', 80));
        Directory.CreateDirectory(crowded);
        var path = PrivateDirectory.CreateIn([null, "relative", "/proc/self", crowded, _place], 60);
        Assert.Equal(_place, Path.GetDirectoryName(path));
    }

    [Fact]
    public void When_no_place_takes_it_each_one_is_told_with_its_reason()
    {
        var problem = Assert.Throws<IOException>(() => PrivateDirectory.CreateIn(["/no/such", "/tmp/" + new string('x', 80), "/no/such"], 60)).Message;
        Assert.Contains("(/no/such: No such file or directory; /tmp/xxx", problem, StringComparison.Ordinal);
        Assert.Contains("x is too long a path for a unix socket); set TMPDIR to a short path that this user may write to", problem, StringComparison.Ordinal);
    }
}
