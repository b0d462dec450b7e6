namespace FastLB.Core.Balancing;

/// <summary>How often one client (or key) may ask (<c>rateLimits:</c>). Immutable.</summary>
/// <param name="Name">What the limit is called in answers.</param>
/// <param name="Key">What requests are told apart by.</param>
/// <param name="KeyName">The name of the header or cookie.</param>
/// <param name="PerSecond">Requests per second in the long run, greater than 0.</param>
/// <param name="Burst">How many may come at once, from 1.</param>
public sealed record RateLimitSettings(string Name, KeySource Key, Utf8Name KeyName, double PerSecond, int Burst);
