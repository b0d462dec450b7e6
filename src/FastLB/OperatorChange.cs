using System.Globalization;
using FastLB.Core.Balancing;
using FastLB.Core.Resilience;

namespace FastLB;

/// <summary>One thing that stands over the configuration because an operator said so.</summary>
/// <param name="Name">As the answer of a reload calls it: <c>app strategy</c>.</param>
/// <param name="Text">As the status tells it: <c>strategy: round-robin (configured: two-choices)</c>; null where the state of the worker or of its breaker says it.</param>
internal sealed record OperatorChange(string Name, string? Text)
{
    /// <summary>What was changed of a pool, in the order of its workers.</summary>
    /// <param name="wantedInstances">How many workers FastLB shall run there instead of the configured ones; null: nobody said.</param>
    /// <param name="configuredInstances">How many the configuration says.</param>
    public static IEnumerable<OperatorChange> Of(Pool pool, int? wantedInstances, int configuredInstances)
    {
        var overlay = pool.Overlay;
        if (overlay.Strategy is { } strategy)
        {
            yield return new OperatorChange($"{pool.Name} strategy", $"strategy: {Operator.Describe(strategy)} (configured: {Operator.Describe(pool.Settings.Strategy)})");
        }

        if (wantedInstances is { } wanted)
        {
            yield return new OperatorChange($"{pool.Name} scale", Invariant($"instances: {wanted} (configured: {configuredInstances})"));
        }

        foreach (var (slot, weight) in overlay.Weights.OrderBy(w => w.Key))
        {
            yield return new OperatorChange(Invariant($"{pool.Name}/{slot} weight"), Invariant($"weight of {pool.Name}/{slot}: {weight} (configured: {ConfiguredWeight(pool, slot)})"));
        }

        foreach (var slot in overlay.Switches.Keys.Order())
        {
            yield return new OperatorChange(Invariant($"{pool.Name}/{slot} state"), null);
        }

        if (overlay.PoolBreaker != BreakerForce.None)
        {
            yield return new OperatorChange($"{pool.Name} breaker", null);
        }

        foreach (var slot in overlay.Breakers.Keys.Order())
        {
            yield return new OperatorChange(Invariant($"{pool.Name}/{slot} breaker"), null);
        }

        foreach (var worker in pool.Members.Ready.Where(w => overlay.Added.Any(a => a.Endpoint.Equals(w.Endpoint))))
        {
            yield return new OperatorChange($"{worker.Name} added", $"worker {worker.Name}: added at {worker.Endpoint}");
        }

        foreach (var address in overlay.Removed.Select(r => r.ToString()).Order(StringComparer.Ordinal))
        {
            yield return new OperatorChange($"{pool.Name} {address} removed", $"worker at {address}: removed");
        }
    }

    /// <summary>A worker that FastLB runs has none of its own in the configuration, so it has one share like the others.</summary>
    private static int ConfiguredWeight(Pool pool, int slot)
    {
        var endpoint = pool.Members.Ready.FirstOrDefault(w => w.Slot == slot)?.Endpoint;
        return pool.Settings.Reached.Concat(pool.Overlay.Added).FirstOrDefault(r => r.Endpoint.Equals(endpoint))?.Weight ?? 1;
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
