namespace FastLB.Core.Loop;

/// <summary>The error numbers (Linux, errno(3)) that completions carry, negated, and that the proxy tells apart.</summary>
public static class IoError
{
    public const int TryAgain = 11;
    public const int OutOfMemory = 12;
    public const int OutOfFiles = 23;
    public const int OutOfDescriptors = 24;
    public const int AddressNotAvailable = 99;
    public const int BrokenPipe = 32;
    public const int NoBuffers = 105;
    public const int ConnectionReset = 104;
    public const int TimedOut = 110;
    public const int ConnectionRefused = 111;
    public const int InProgress = 115;
    public const int Canceled = 125;

    /// <summary>Whether an error says that this machine or process has run out of something, and nothing about the other side.</summary>
    public static bool IsLocalExhaustion(int error) =>
        error is OutOfDescriptors or OutOfFiles or OutOfMemory or NoBuffers or AddressNotAvailable;
}
