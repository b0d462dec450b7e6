using System.Text.Unicode;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Core.Proxy;

/// <summary>
/// The header lines that tell a client why it was refused and when to come back: Retry-After (RFC 9110 10.2.3), and RateLimit-Policy and RateLimit as
/// draft-ietf-httpapi-ratelimit-headers has them (quota and window; what remains, and in how many seconds the quota is whole again).
/// </summary>
internal static class RateLimitLines
{
    /// <summary>The most that <see cref="Write"/> writes: names of limits have at most 64 letters.</summary>
    public const int MaxBytes = 320;

    /// <summary>Writes the lines and answers how many bytes they are.</summary>
    public static int Write(RateLimit limit, in RateVerdict verdict, Span<byte> target)
    {
        var windowSeconds = Math.Max(1, (long)Math.Ceiling(limit.Settings.Burst / limit.Settings.PerSecond));
        var retrySeconds = Math.Max(1, (verdict.RetryAfterMs + 999) / 1000);
        var resetSeconds = (verdict.ResetMs + 999) / 1000;
        var name = limit.Settings.Name;
        var fits = Utf8.TryWrite(
            target,
            $"Retry-After: {retrySeconds}\r\nRateLimit-Policy: \"{name}\";q={limit.Settings.Burst};w={windowSeconds}\r\nRateLimit: \"{name}\";r={verdict.RemainingBurst};t={resetSeconds}\r\n",
            out var written);
        Invariant.That(fits, "names of limits are short");
        return written;
    }
}
