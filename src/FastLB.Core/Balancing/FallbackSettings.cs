using FastLB.Core.Http;

namespace FastLB.Core.Balancing;

/// <summary>What answers when a pool cannot (<c>fallback:</c>): another pool, or always the same. Exactly one of the two.</summary>
/// <param name="PoolName">The pool that serves instead.</param>
/// <param name="Answer">What is answered instead.</param>
public sealed record FallbackSettings(string? PoolName, ErrorResponse? Answer);
