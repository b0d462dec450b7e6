using System.Collections;
using System.Net;
using System.Text;
using FastLB.Core.Loop;
using FastLB.Fleet;
using FastLB.Linux;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Fleet;

public class OutputLinesTests
{
    [Fact]
    public void Lines_come_out_whole_however_the_bytes_arrive()
    {
        Prop.ForAll<NonEmptyArray<NonNull<string>>, PositiveInt>((texts, size) =>
        {
            var lines = texts.Get.Select(text => text.Get.ReplaceLineEndings("").Replace("\r", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal)).ToArray();
            lines = [.. lines.Select(line => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(line)))];
            var bytes = Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n")));
            var found = new List<string>();
            var output = new OutputLines(found.Add);
            foreach (var chunk in bytes.Chunk(size.Get))
            {
                output.Add(chunk);
            }

            output.Flush();
            return found.SequenceEqual(lines);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_last_line_without_an_end_comes_out_at_the_flush()
    {
        var found = new List<string>();
        var output = new OutputLines(found.Add);
        output.Add("one\r\ntwo"u8);
        Assert.Equal(["one"], found);
        output.Flush();
        output.Flush();
        Assert.Equal(["one", "two"], found);
    }

    [Theory]
    [InlineData("x")]
    [InlineData("ä")]
    [InlineData("€")]
    [InlineData("😀")]
    public void A_line_that_is_too_long_comes_in_bounded_pieces_that_cut_no_character(string character)
    {
        var text = "a" + string.Concat(Enumerable.Repeat(character, 9_000));
        var found = new List<string>();
        var output = new OutputLines(found.Add);
        foreach (var chunk in Encoding.UTF8.GetBytes(text).Chunk(4096))
        {
            output.Add(chunk);
        }

        output.Flush();
        Assert.True(found.Count > 1);
        Assert.Equal(text, string.Concat(found));
        Assert.All(found, line => Assert.True(Encoding.UTF8.GetByteCount(line) <= OutputLines.MaxLineBytes));
    }

    [Theory]
    [InlineData(OutputLines.MaxLineBytes - 1, 1)]
    [InlineData(OutputLines.MaxLineBytes, 1)]
    [InlineData(OutputLines.MaxLineBytes + 1, 2)]
    public void A_line_of_just_the_longest_length_is_one_line(int length, int lines)
    {
        var found = new List<string>();
        new OutputLines(found.Add).Add(Encoding.UTF8.GetBytes(new string('x', length) + "\n"));
        Assert.Equal(lines, found.Count);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_no_failure()
    {
        var found = new List<string>();
        var output = new OutputLines(found.Add);
        output.Add(Enumerable.Repeat((byte)0x80, 20_000).ToArray());
        output.Flush();
        Assert.Equal(20_000, found.Sum(line => line.Length));
    }
}

public class PortAllocatorTests
{
    [Fact]
    public void No_two_workers_have_one_port_and_a_returned_one_comes_last()
    {
        var ports = new PortAllocator((30_000, 30_004), 2, _ => true);
        Assert.Equal([30_002, 30_003, 30_000, 30_001], Enumerable.Range(0, 4).Select(_ => ports.TryTake()!.Value));
        Assert.Null(ports.TryTake());

        ports.Return(30_003);
        ports.Return(30_001);
        Assert.Equal(30_003, ports.TryTake());
        Assert.Equal(30_001, ports.TryTake());
    }

    [Fact]
    public void A_port_that_somebody_else_has_is_passed_over()
    {
        var ports = new PortAllocator((30_000, 30_003), 0, port => port != 30_000);
        Assert.Equal(30_001, ports.TryTake());
    }

    [Fact]
    public void A_port_of_this_machine_is_not_given_out_while_something_listens_there()
    {
        var ports = PortAllocator.ForThisMachine();
        var port = ports.TryTake()!.Value;
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, port);
        listener.Start();

        // The same port first, and only one beside it.
        var tried = new List<int>();
        var others = new PortAllocator((port, port + 1), 0, candidate =>
        {
            tried.Add(candidate);
            return PortAllocator.CanBind(candidate);
        });
        Assert.Null(others.TryTake());
        Assert.Equal([port], tried);
    }

    [Theory]
    [InlineData(32_768, 60_999, 20_000, 32_768)]
    [InlineData(10_000, 60_999, 61_000, 65_536)]
    [InlineData(10_000, 65_535, 6_000, 10_000)]
    [InlineData(1_024, 65_535, 20_000, 32_000)]
    public void The_ports_lie_beside_the_kernels_own(int first, int last, int expectedFirst, int expectedEnd) =>
        Assert.Equal((expectedFirst, expectedEnd), PortAllocator.RangeBeside((first, last)));

    [Fact]
    public void Without_knowing_the_kernels_range_there_is_a_usual_one() =>
        Assert.Equal((20_000, 32_000), PortAllocator.RangeBeside(null));

}

public class WorkerEnvironmentTests
{
    private static readonly RunSettings Run = SupervisorScenario.Settings(1) with
    {
        Environment = [new("NODE_ENV", "production"), new("PORT", "1"), new("HOME", "/pool")],
    };

    [Fact]
    public void A_worker_is_told_its_port_and_its_name()
    {
        var told = Build(Endpoint.Ip(IPAddress.Loopback, 21_007));
        Assert.Equal("21007", told["PORT"]);
        Assert.Equal("127.0.0.1", told["HOST"]);
        Assert.Equal("http://127.0.0.1:21007", told["ASPNETCORE_URLS"]);
        Assert.Equal(("app/3", "app", "3", "7", "3"), (told["FASTLB_WORKER"], told["FASTLB_POOL"], told["FASTLB_SLOT"], told["FASTLB_GENERATION"], told["NODE_APP_INSTANCE"]));
    }

    [Fact]
    public void With_a_unix_socket_the_port_is_its_path()
    {
        var told = Build(Endpoint.Unix("/run/x/0-3-7.sock"));
        Assert.Equal("/run/x/0-3-7.sock", told["PORT"]);
        Assert.Equal("http://unix:/run/x/0-3-7.sock", told["ASPNETCORE_URLS"]);
    }

    [Fact]
    public void The_pools_values_win_over_inherited_ones_and_FastLBs_own_over_both()
    {
        var told = Build(Endpoint.Ip(IPAddress.Loopback, 21_007));
        Assert.Equal("/pool", told["HOME"]);
        Assert.Equal("production", told["NODE_ENV"]);
        Assert.Equal("kept", told["INHERITED"]);
        Assert.Equal("21007", told["PORT"]);
        Assert.Equal("the mark", told["FASTLB_GUARD"]);
    }

    [Fact]
    public void A_workers_signature_stands_in_its_environment_and_in_no_others()
    {
        var entries = WorkerEnvironment.Build(new Hashtable(), Run, 3, 7, Endpoint.Ip(IPAddress.Loopback, 1), "m");
        Assert.Subset(entries.ToHashSet(), WorkerEnvironment.Signature(Run, 3, 7, "m").ToHashSet());
        Assert.False(WorkerEnvironment.Signature(Run, 3, 8, "m").All(entries.Contains));
        Assert.False(WorkerEnvironment.Signature(Run, 2, 7, "m").All(entries.Contains));
    }

    private static Dictionary<string, string> Build(Endpoint endpoint)
    {
        var inherited = new Hashtable { ["INHERITED"] = "kept", ["HOME"] = "/inherited", ["FASTLB_GUARD"] = "of an outer FastLB" };
        return WorkerEnvironment.Build(inherited, Run, 3, 7, endpoint, "the mark")
            .Select(entry => entry.Split('=', 2))
            .ToDictionary(parts => parts[0], parts => parts[1]);
    }
}

public class ProgramPathTests
{
    [Fact]
    public void A_name_is_looked_up_in_PATH()
    {
        Assert.Equal("/bin/sh", ProgramPath.Find("sh", "/nowhere:/bin", "/", out _));
        Assert.Null(ProgramPath.Find("nodee", "/usr/bin:/bin", "/", out var problem));
        Assert.Equal("'nodee': no such program in PATH", problem);
    }

    [Fact]
    public void A_path_starts_at_the_workers_directory()
    {
        Assert.Equal("/bin/sh", ProgramPath.Find("./sh", null, "/bin", out _));
        Assert.Null(ProgramPath.Find("./nothing", null, "/bin", out var missing));
        Assert.Equal("'/bin/nothing' does not exist", missing);
        Assert.Null(ProgramPath.Find("../etc", null, "/bin", out var directory));
        Assert.Equal("'/etc' is a directory", directory);
        Assert.Null(ProgramPath.Find("/etc/passwd", null, "/", out var plain));
        Assert.StartsWith("'/etc/passwd' is not executable", plain, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_directory_is_named()
    {
        Assert.Null(ProgramPath.Find("sh", "/bin", "/no/such", out var problem));
        Assert.Equal("its directory '/no/such' does not exist", problem);
    }
}

public class BackoffTests
{
    [Theory]
    [InlineData(1, "1st")]
    [InlineData(2, "2nd")]
    [InlineData(3, "3rd")]
    [InlineData(4, "4th")]
    [InlineData(11, "11th")]
    [InlineData(12, "12th")]
    [InlineData(23, "23rd")]
    [InlineData(113, "113th")]
    public void Ordinals_read_as_English(int number, string text) => Assert.Equal(text, RestartBackoff.Ordinal(number));

    [Fact]
    public void Delays_keep_their_bounds_however_many_exits_there_were()
    {
        Prop.ForAll<PositiveInt, ulong>((exits, seed) =>
        {
            var delay = RestartBackoff.DelayMs(exits.Get, new RandomSource(seed));
            var longest = Math.Min(RestartBackoff.LongestDelayMs, RestartBackoff.FirstDelayMs * Math.Pow(2, exits.Get - 1));
            return delay >= (int)(longest / 2) && delay <= longest;
        }).QuickCheckThrowOnFailure();
    }
}
