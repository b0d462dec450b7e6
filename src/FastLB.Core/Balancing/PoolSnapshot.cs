namespace FastLB.Core.Balancing;

/// <summary>What one choice goes by: the workers, the strategy and its table, all of one moment. Immutable.</summary>
/// <param name="Table">For the ready workers; null when neither the strategy nor the sessions ask for one.</param>
public sealed record PoolSnapshot(WorkerSet Workers, StrategyPlan Strategy, MaglevTable? Table);
