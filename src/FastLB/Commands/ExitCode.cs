namespace FastLB.Commands;

/// <summary>What the process says when it ends, for scripts and service managers.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>Everything was written rightly, and still it did not work: an address in use, nobody answers.</summary>
    public const int Failure = 1;

    /// <summary>A mistake in the configuration or on the command line. Trying again without a change is pointless.</summary>
    public const int Mistake = 2;
}
