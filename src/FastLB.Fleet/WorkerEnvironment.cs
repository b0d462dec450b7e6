using System.Collections;
using System.Globalization;
using FastLB.Core.Loop;

namespace FastLB.Fleet;

/// <summary>
/// What a worker is told: FastLB's own environment, over it the pool's <c>environment</c>, over that what FastLB says about the worker
/// (DESIGN.md, "What a worker that FastLB runs is given").
/// </summary>
internal static class WorkerEnvironment
{
    /// <summary>The entry that <see cref="Guardian"/> finds processes of this run by.</summary>
    public const string MarkName = "FASTLB_GUARD";

    /// <summary>The entries as NAME=value. FastLB's own come first, where who looks for them finds them soon.</summary>
    public static IReadOnlyList<string> Build(IDictionary inherited, RunSettings run, int slot, int generation, Endpoint endpoint, string mark)
    {
        var own = Own(run, slot, generation, endpoint, mark);
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in inherited)
        {
            values[(string)entry.Key] = (string?)entry.Value ?? "";
        }

        foreach (var (name, value) in run.Environment)
        {
            values[name] = value;
        }

        foreach (var (name, _) in own)
        {
            values.Remove(name);
        }

        return [.. own.Select(entry => $"{entry.Name}={entry.Value}"), .. values.Select(entry => $"{entry.Key}={entry.Value}")];
    }

    /// <summary>What one worker's processes, and no others, have in their environment.</summary>
    public static IReadOnlyList<string> Signature(RunSettings run, int slot, int generation, string mark) =>
    [
        $"{MarkName}={mark}",
        string.Create(CultureInfo.InvariantCulture, $"FASTLB_WORKER={run.PoolName}/{slot}"),
        string.Create(CultureInfo.InvariantCulture, $"FASTLB_GENERATION={generation}"),
    ];

    private static (string Name, string Value)[] Own(RunSettings run, int slot, int generation, Endpoint endpoint, string mark)
    {
        var slotText = slot.ToString(CultureInfo.InvariantCulture);
        var port = endpoint.UnixPath ?? endpoint.Port.ToString(CultureInfo.InvariantCulture);
        return
        [
            (MarkName, mark),
            ("FASTLB_WORKER", $"{run.PoolName}/{slotText}"),
            ("FASTLB_POOL", run.PoolName),
            ("FASTLB_SLOT", slotText),
            ("FASTLB_GENERATION", generation.ToString(CultureInfo.InvariantCulture)),
            ("NODE_APP_INSTANCE", slotText),
            ("HOST", "127.0.0.1"),
            ("PORT", port),
            ("ASPNETCORE_URLS", endpoint.IsUnix ? $"http://unix:{port}" : $"http://127.0.0.1:{port}"),
        ];
    }
}
