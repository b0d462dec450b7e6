namespace FastLB.Core.Http;

/// <summary>How large the parts of a message may be. What is over its limit is refused with the status named.</summary>
public sealed record HttpLimits
{
    /// <summary>Start line and headers together, in bytes, 1 KB to 60 KB. Over it: 431 for a request, 502 for a response.</summary>
    public int HeadBytes { get; init; } = 32 * 1024;

    /// <summary>The request target, in bytes. Over it: 414.</summary>
    public int TargetBytes { get; init; } = 8 * 1024;

    /// <summary>Header lines, at most <see cref="MessageHead.MaxHeaders"/>. Over it: 431 for a request, 502 for a response.</summary>
    public int HeaderCount { get; init; } = 100;

    /// <summary>A request body, in bytes. Over it: 413. Unlimited unless configured.</summary>
    public long BodyBytes { get; init; } = long.MaxValue;

    public static HttpLimits Default { get; } = new();
}
