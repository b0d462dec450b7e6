namespace FastLB.Linux;

/// <summary>
/// SIGHUP reads the configuration anew, so it has to arrive. Who starts a program by nohup(1) ignores the signal, which is inherited, and the runtime leaves a signal alone that is ignored
/// when somebody asks for it. A terminal that hangs up then costs a reload and no more.
/// </summary>
public static class HangUpSignal
{
    private const int Sighup = 1;

    /// <summary>Before the signal is registered for. From then on it is not ignored, until it is handled it would end the process.</summary>
    public static void Heed() => Libc.RestoreDefault(Sighup);
}
