namespace FastLB.Core.Recording;

/// <summary>Which requests of a listener are written down.</summary>
/// <param name="Share">The share of requests, above 0 and up to 1. Chance decides when a request begins, so the others cost nothing.</param>
/// <param name="OnlyErrors">Only those that ended other than by a worker's whole answer, or with a status of 500 and above.</param>
public sealed record AccessLogFilter(double Share = 1, bool OnlyErrors = false);
