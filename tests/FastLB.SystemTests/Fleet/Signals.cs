using FastLB.Linux;

namespace FastLB.SystemTests.Fleet;

/// <summary>Signals to processes that a test chose, as an operator would send them.</summary>
internal static class Signals
{
    public const int Kill = Libc.SIGKILL;

    public static void Send(int pid, int signal)
    {
        var pidfd = Libc.PidfdOpen(pid);
        Assert.True(pidfd >= 0, $"process {pid} lives");
        Assert.Equal(0, Libc.PidfdSendSignal(pidfd, signal));
        Assert.Equal(0, Libc.Close(pidfd));
    }
}
