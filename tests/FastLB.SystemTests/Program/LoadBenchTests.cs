using System.Globalization;

namespace FastLB.SystemTests.Program;

/// <summary>A small run of bench/load, so that it still works on the day when it is needed. Whose figures are better is not looked at.</summary>
public sealed class LoadBenchTests
{
    private static readonly string s_script = Path.Combine(Repository.Root, "bench", "load", "compare.py");

    [NeedsToolsFact("python3", "taskset", "wrk", "gcc", "nginx", "haproxy", Cores = 2)]
    public async Task A_small_run_measures_every_proxy()
    {
        var report = await RunningProgram.OutputOf(
            "python3", s_script, "--fastlb", Repository.FastLbAssembly, "--workloads", "keep-alive-64,fixed-rate,access-log", "--engines", "epoll",
            "--rounds", "1", "--seconds", "1", "--warm-up", "1", "--no-system-calls");

        Assert.Contains("FastLB's loops allocated nothing per request", report, StringComparison.Ordinal);
        var throughput = RowsOf(report, "keep-alive-64");
        Assert.Superset(new HashSet<string> { "fastlb epoll", "nginx", "haproxy" }, throughput.Keys.ToHashSet());
        Assert.All(throughput.Values, row => Assert.True(row["CPU us per request"] > 0 && row["requests per second"] > 100));

        var logging = RowsOf(report, "access-log");
        Assert.Equal(["fastlb, combined", "fastlb, json", "fastlb, no log"], logging.Keys.Order(StringComparer.Ordinal));
        Assert.All(logging.Values, row => Assert.True(row["CPU us per request"] > 0 && row["requests per second"] > 100));

        var latency = RowsOf(report, "fixed-rate");
        Assert.Superset(new HashSet<string> { "no proxy", "fastlb epoll", "nginx", "haproxy" }, latency.Keys.ToHashSet());
        Assert.All(latency.Values, row => Assert.True(row["p99 us"] >= row["p50 us"] && row["p50 us"] > 0));
    }

    [NeedsToolsFact("python3", "taskset", "wrk", "gcc", "nginx", "haproxy", Cores = 2)]
    public async Task A_name_that_is_no_workload_ends_with_those_that_are()
    {
        using var run = RunningProgram.Start("python3", [s_script, "--fastlb", Repository.FastLbAssembly, "--workloads", "keep-alive"]);
        await run.Exit(Eventually.Patience);
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains("there is no workload keep-alive; there are keep-alive-64, ", run.Errors, StringComparison.Ordinal);
    }

    /// <summary>The table of one workload: by the contestant's name, its figures by their column, medians where there is a spread.</summary>
    private static Dictionary<string, Dictionary<string, double>> RowsOf(string report, string workload)
    {
        var section = report[report.IndexOf($"(`{workload}`)", StringComparison.Ordinal)..];
        var table = section.Split('\n').SkipWhile(line => !line.StartsWith('|')).TakeWhile(line => line.StartsWith('|')).Select(Cells).ToArray();
        var columns = table[0];
        return table.Skip(2).ToDictionary(
            row => row[0].Replace(" (default)", "", StringComparison.Ordinal),
            row => Enumerable.Range(1, row.Length - 1).Where(i => row[i].Length > 0).ToDictionary(
                i => columns[i],
                i => double.Parse(row[i].Split(' ')[0], CultureInfo.InvariantCulture)));
    }

    private static string[] Cells(string line) => [.. line[1..^1].Split('|').Select(cell => cell.Trim())];
}
