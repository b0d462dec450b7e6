namespace FastLB.Linux;

/// <summary>How many descriptors clients need: one each, one for a worker's connection, and some for everything else that the process has open.</summary>
public static class DescriptorBudget
{
    private const long PerClient = 2;
    private const long Others = 256;

    /// <summary>RLIMIT_NOFILE of this process.</summary>
    public static long Limit => Libc.DescriptorLimit() is > 0 and < long.MaxValue and var limit ? (long)limit : long.MaxValue;

    public static long NeededFor(long clients) => (clients * PerClient) + Others;

    public static long ClientsOf(long limit) => Math.Max(0, (limit - Others) / PerClient);
}
