using System.Collections;
using FastLB.Linux;

namespace FastLB.Fleet;

/// <summary>Which file a pool's command means: searched with the PATH and from the directory that its workers get.</summary>
public static class WorkerProgram
{
    private const string PathName = "PATH";

    /// <summary>The file's path, or null and a clause that says why there is none.</summary>
    /// <param name="run">Its <c>environment</c> may name another PATH.</param>
    /// <param name="inherited">FastLB's own environment, which the workers get below that.</param>
    /// <param name="problem">Follows the words "cannot start ...:".</param>
    public static string? Find(RunSettings run, IDictionary inherited, out string problem)
    {
        var own = run.Environment.LastOrDefault(variable => variable.Key == PathName).Value;
        return ProgramPath.Find(run.Command[0], own ?? (string?)inherited[PathName], run.Directory, out problem);
    }
}
