using System.Globalization;
using FastLB.Core.Metrics;

namespace FastLB.Simulation;

/// <summary>The proxy lives through many small worlds. How to replay one is told in README.md.</summary>
public sealed class SimulationTests
{
    [Fact]
    public void Every_seed_keeps_every_promise()
    {
        if (Number("FASTLB_SIM_SEED") is { } one)
        {
            Live((ulong)one);
            return;
        }

        var seeds = Number("FASTLB_SIM_SEEDS") ?? 2_000;
        var first = Number("FASTLB_SIM_FIRST") ?? 1;
        var outcomes = new long[Outcomes.Count];
        var pipelined = 0L;
        var moved = 0L;
        var reloads = 0L;
        var (headers, goodbyes, records, local) = (0L, 0L, 0L, 0L);
        for (var seed = first; seed < first + seeds; seed++)
        {
            var world = Live((ulong)seed);
            pipelined += world.PipelinedRequests;
            moved += world.BytesMoved;
            reloads += world.Reloads;
            headers += world.ClientHeaders;
            goodbyes += world.Goodbyes;
            records += world.Records;
            local += world.LocalAnswers;
            foreach (var outcome in Enum.GetValues<Outcome>())
            {
                outcomes[(int)outcome] += world.Of(outcome);
            }
        }

        // A simulator that never gets to an ending does not test it. A full queue takes a thousand clients: ScenarioTests has one; listeners are full in FullListenerScenarioTests.
        Assert.True(seeds < 1_000 || moved > 0, "in no world bytes were moved");
        Assert.True(seeds < 1_000 || reloads > seeds / 2, $"only {reloads} times another configuration came in {seeds} worlds");
        Assert.True(seeds < 1_000 || (headers > seeds / 10 && goodbyes > seeds / 200 && records > seeds && local > seeds / 10), $"in {seeds} worlds: {headers} PROXY headers, {goodbyes} goodbyes, {records} records, {local} answers of routes");
        var missing = Enum.GetValues<Outcome>().Where(o => outcomes[(int)o] == 0 && o is not (Outcome.QueueFull or Outcome.ConnectionLimit)).Select(Outcomes.NameOf);
        Assert.True(seeds < 1_000 || pipelined > seeds, $"only {pipelined} requests were sent ahead in {seeds} worlds");
        Assert.True(seeds < 1_000 || !missing.Any(), $"in no world a request ended as {string.Join(", ", missing)}");
    }

    /// <summary>
    /// 21165: the first lane of a pipeline had no connection any more when it was taken; its request was not sent, and nothing happened
    /// to its client ever again, because only the other lane's answer could have woken it, which waited for its turn.
    /// 15126: a request that had waited behind others of its client went to the worker that was chosen for it at first, which had left since; the pool had been
    /// replaced in between, so its old part was not told.
    /// 18596: a listener went in the turn in which the connection of a WebSocket had been closed and had not been let go yet, so that it was to be told goodbye, and its timer
    /// fired when it was gone.
    /// 49767: a client that had not answered its goodbye in time said something while its worker was being told, and that came behind the close frame.
    /// </summary>
    [Theory]
    [InlineData(21165)]
    [InlineData(15126)]
    [InlineData(18596)]
    [InlineData(49767)]
    public void A_seed_that_once_showed_a_mistake_shows_none(ulong seed) => Live(seed);

    private static long? Number(string variable) =>
        long.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static SimWorld Live(ulong seed)
    {
        try
        {
            var world = new SimWorld(seed);
            world.Run();
            return world;
        }
        catch (Exception)
        {
            // The same life again, this time written down.
            var again = new SimWorld(seed, traced: true);
            try
            {
                again.Run();
            }
            catch (Exception exception)
            {
                Assert.Fail($"seed {seed} (FASTLB_SIM_SEED={seed}): {exception}\n{again.Describe()}\n{string.Join('\n', again.LastEvents.TakeLast(60))}");
            }

            throw;
        }
    }
}
