namespace FastLB.Core.Resilience;

/// <summary>
/// Whether a request may go, and what its answer should say. With 429 goes <c>Retry-After</c> (RFC 9110 10.2.3, whole seconds, rounded up); with any answer the fields of
/// draft-ietf-httpapi-ratelimit-headers: <c>RateLimit</c> with <c>r</c> = <see cref="RemainingBurst"/> and <c>t</c> = <see cref="ResetMs"/> in seconds,
/// <c>RateLimit-Policy</c> with <c>q</c> = the burst.
/// </summary>
/// <param name="RemainingBurst">Requests that the key could make right now.</param>
/// <param name="RetryAfterUs">When one more will be allowed if the key makes none meanwhile, in microseconds, rounded up; 0: now.</param>
/// <param name="ResetUs">When the key has its whole burst again, in microseconds, rounded up.</param>
public readonly record struct RateVerdict(bool Allowed, int RemainingBurst, long RetryAfterUs, long ResetUs)
{
    /// <summary><see cref="RetryAfterUs"/> in milliseconds, rounded up.</summary>
    public long RetryAfterMs => (RetryAfterUs + 999) / 1000;

    /// <summary><see cref="ResetUs"/> in milliseconds, rounded up.</summary>
    public long ResetMs => (ResetUs + 999) / 1000;
}
