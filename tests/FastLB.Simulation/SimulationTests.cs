using System.Globalization;

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
        for (var seed = first; seed < first + seeds; seed++)
        {
            Live((ulong)seed);
        }
    }

    private static long? Number(string variable) =>
        long.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static void Live(ulong seed)
    {
        try
        {
            new SimWorld(seed).Run();
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
                File.WriteAllLines($"/tmp/sim-{seed}.txt", again.LastEvents);
                Assert.Fail($"seed {seed} (FASTLB_SIM_SEED={seed}): {exception}\n{again.Describe()}\n{string.Join('\n', again.LastEvents.TakeLast(60))}");
            }

            throw;
        }
    }
}
