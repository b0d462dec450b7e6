using System.Globalization;

namespace FastLB.Linux;

public enum ExitKind
{
    /// <summary>The process ended by itself; the value is its status, 0 to 255.</summary>
    Exited,

    /// <summary>A signal ended it; the value is the signal's number.</summary>
    Killed,

    /// <summary>The same, and a core file was written.</summary>
    Dumped,

    /// <summary>Somebody else took the status, as happens when SIGCHLD is ignored.</summary>
    Unknown,
}

/// <summary>How a process ended (waitid(2)). Its text is a clause that follows the process's name.</summary>
public readonly record struct ExitStatus(ExitKind Kind, int Value)
{
    private static readonly string[] SignalNames =
    [
        "", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
        "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM",
    ];

    public override string ToString() => Kind switch
    {
        ExitKind.Exited => $"exited with status {Value.ToString(CultureInfo.InvariantCulture)}",
        ExitKind.Killed => $"was killed by {SignalName}",
        ExitKind.Dumped => $"was killed by {SignalName} and left a core file",
        _ => "exited with a status that nobody knows",
    };

    private string SignalName =>
        Value > 0 && Value < SignalNames.Length ? SignalNames[Value] : $"signal {Value.ToString(CultureInfo.InvariantCulture)}";
}
