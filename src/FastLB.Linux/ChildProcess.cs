using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>What to start. Immutable.</summary>
public sealed record ChildCommand
{
    /// <summary>The absolute path of the file; see <see cref="ProgramPath"/>.</summary>
    public required string Program { get; init; }

    /// <summary>argv, beginning with the name that the program is called by.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    /// <summary>The whole environment, as NAME=value.</summary>
    public required IReadOnlyList<string> Environment { get; init; }

    /// <summary>The working directory, absolute; null: FastLB's own, which the child then has even when it has been removed.</summary>
    public required string? Directory { get; init; }

    /// <summary>Its own session, so that nothing that the terminal sends reaches it, instead of only its own process group.</summary>
    public bool OwnSession { get; init; }

    /// <summary>Standard input is a pipe whose other end is <see cref="ChildProcess.InputDescriptor"/>, instead of /dev/null.</summary>
    public bool PipeInput { get; init; }

    /// <summary>Standard output and error are pipes, <see cref="ChildProcess.Output"/> and <see cref="ChildProcess.Errors"/>, instead of /dev/null.</summary>
    public bool PipeOutput { get; init; }
}

/// <summary>
/// A child process that leads its own process group. It is started by posix_spawn(3), never by fork from managed code, with every
/// signal at its default and none blocked: .NET ignores SIGPIPE, and a child would inherit that. Readable, as the poller sees
/// it, means that the process has exited; then <see cref="Reap"/>.
/// <para>
/// A child that was asked to stop is gone when its whole group is: the leader may be a shell around the real worker, which needs its
/// time. One that ends unasked takes its group with it at once.
/// </para>
/// <para>
/// One thread owns it. The kernel gives the group's number to nobody while any process is in the group. Once the leader is reaped
/// nobody holds the group open for us, so its owner calls <see cref="Reap"/> every few milliseconds, and no signal is sent after the
/// group was seen empty. That a number comes round again within such a pause is not excluded, but the kernel gives them in turn.
/// </para>
/// </summary>
public sealed unsafe class ChildProcess : PolledDescriptor
{
    /// <summary>The first after standard input, output and error.</summary>
    private const int FirstOtherDescriptor = 3;

    private static readonly string[] DevNull = ["/dev/null"];

    private int _input;
    private bool _isTerminated;
    private bool _isKilled;
    private bool _isGone;

    private ChildProcess(int pid, int pidfd, int input, ChildOutput? output, ChildOutput? errors)
        : base(pidfd)
    {
        Pid = pid;
        _input = input;
        Output = output;
        Errors = errors;
    }

    /// <summary>Also the number of its process group.</summary>
    public int Pid { get; }

    public ChildOutput? Output { get; }

    public ChildOutput? Errors { get; }

    /// <summary>How the leader ended; null until <see cref="Reap"/> found that it did.</summary>
    public ExitStatus? Exit { get; private set; }

    /// <summary>Starts a child. Null, and a clause that says why, when the kernel refuses.</summary>
    public static ChildProcess? TryStart(ChildCommand command, out string problem)
    {
        if (command.Arguments.Concat(command.Environment).Any(text => text.Contains('\0', StringComparison.Ordinal)))
        {
            problem = "an argument or a value of its environment holds a zero byte, which no program can be given";
            return null;
        }

        // What FastLB opens is close-on-exec anyway; what it inherited from its own parent is not the child's business either.
        _ = Libc.CloseOnExecFrom(FirstOtherDescriptor);
        int inputRead = -1, inputWrite = -1, outputRead = -1, outputWrite = -1, errorsRead = -1, errorsWrite = -1;
        var result = command.PipeInput ? CreatePipe(out inputRead, out inputWrite) : 0;
        if (result >= 0 && command.PipeOutput)
        {
            result = CreatePipe(out outputRead, out outputWrite);
            result = result < 0 ? result : CreatePipe(out errorsRead, out errorsWrite);
        }

        var pid = 0;
        result = result < 0 ? result : Spawn(command, inputRead, outputWrite, errorsWrite, out pid);
        var pidfd = -1;
        if (result >= 0)
        {
            pidfd = Libc.PidfdOpen(pid);
            if (pidfd < 0)
            {
                // Without a descriptor nobody would notice its end, so it must not go on.
                _ = Libc.KillGroup(pid, Libc.SIGKILL);
                _ = Libc.WaitKilled(pid);
                result = pidfd;
            }
        }

        // The child has its copies; FastLB keeping one would hide the end of the other side.
        CloseAll(inputRead, outputWrite, errorsWrite);
        if (result < 0)
        {
            CloseAll(inputWrite, outputRead, errorsRead);
            problem = Explain(command, -result);
            return null;
        }

        problem = "";
        return new ChildProcess(
            pid,
            pidfd,
            inputWrite,
            command.PipeOutput ? new ChildOutput(outputRead) : null,
            command.PipeOutput ? new ChildOutput(errorsRead) : null);
    }

    /// <summary>Asks the whole group to stop.</summary>
    public void Terminate()
    {
        _isTerminated = true;
        Signal(Libc.SIGTERM);
    }

    /// <summary>Kills the whole group.</summary>
    public void Kill()
    {
        _isKilled = true;
        Signal(Libc.SIGKILL);
    }

    /// <summary>
    /// Takes the status of a process that has exited. What is left of its group is killed, before that number is free again, unless
    /// the group was asked to stop and may still do so.
    /// </summary>
    /// <returns>False when it still runs, or when <see cref="Exit"/> is known but others of the stopping group still run.</returns>
    public bool Reap()
    {
        if (!_isGone && (Exit is not null || IsReadable))
        {
            var mayStop = _isTerminated && !_isKilled;
            if (Exit is null)
            {
                TakeStatus(killRest: !mayStop);
            }

            _isGone = !mayStop || !GroupLives();
        }

        return _isGone;
    }

    private void TakeStatus(bool killRest)
    {
        if (killRest)
        {
            _ = Libc.KillGroup(Pid, Libc.SIGKILL);
        }

        var result = Libc.WaitExited(Descriptor, out var info);
        Invariant.That(result >= 0 || result == -Libc.ECHILD, "an exited child can be reaped");
        Exit = info.Code switch
        {
            Libc.CLD_EXITED => new ExitStatus(ExitKind.Exited, info.Status),
            Libc.CLD_KILLED => new ExitStatus(ExitKind.Killed, info.Status),
            Libc.CLD_DUMPED => new ExitStatus(ExitKind.Dumped, info.Status),
            _ => new ExitStatus(ExitKind.Unknown, 0),
        };
    }

    private bool GroupLives()
    {
        // As process 1 of a container FastLB inherits the orphans of the group, and a zombie would keep it for ever.
        while (Libc.WaitExitedInGroup(Pid, out var orphan) >= 0 && orphan.Pid != 0)
        {
        }

        return Libc.GroupExists(Pid);
    }

    /// <summary>Ends the child's standard input. Closing twice is closing once.</summary>
    public void CloseInput()
    {
        CloseAll(_input);
        _input = -1;
    }

    /// <summary>Closes FastLB's ends; the poller must have forgotten them. Does not stop the process.</summary>
    public void Close()
    {
        CloseInput();
        Output?.Close();
        Errors?.Close();
        CloseDescriptor();
    }

    /// <summary>
    /// A pipe with both ends above standard error. If FastLB itself was started without some of its standard descriptors, spare
    /// pipe ends fill those places for good: a child's redirections would otherwise overwrite each other.
    /// </summary>
    internal static int CreatePipe(out int readEnd, out int writeEnd)
    {
        int result;
        do
        {
            result = Libc.Pipe(out readEnd, out writeEnd);
        }
        while (result >= 0 && Math.Min(readEnd, writeEnd) < FirstOtherDescriptor);

        if (result < 0)
        {
            (readEnd, writeEnd) = (-1, -1);
        }

        return result;
    }

    private static int Spawn(ChildCommand command, int input, int output, int errors, out int pid)
    {
        pid = 0;

        // As ulongs, because the opaque structures hold pointers and want their alignment.
        var room = stackalloc ulong[(Libc.SpawnAttributesBytes + Libc.SpawnActionsBytes + (2 * Libc.SignalSetBytes)) / sizeof(ulong)];
        var attributes = (byte*)room;
        var actions = attributes + Libc.SpawnAttributesBytes;
        var allSignals = actions + Libc.SpawnActionsBytes;
        var noSignals = allSignals + Libc.SignalSetBytes;
        Libc.FillSignalSet(allSignals);
        new Span<byte>(noSignals, Libc.SignalSetBytes).Clear();

        using var program = new CStrings([command.Program]);
        using var directory = new CStrings(command.Directory is { } named ? [named] : []);
        using var devNull = new CStrings(DevNull);
        using var arguments = new CStrings(command.Arguments);
        using var environment = new CStrings(command.Environment);

        var group = command.OwnSession ? Libc.POSIX_SPAWN_SETSID : Libc.POSIX_SPAWN_SETPGROUP;
        var flags = (short)(group | Libc.POSIX_SPAWN_SETSIGDEF | Libc.POSIX_SPAWN_SETSIGMASK);
        var result = Libc.SpawnAttributesInit(attributes, flags, allSignals, noSignals);
        if (result < 0)
        {
            return result;
        }

        result = Libc.SpawnActionsInit(actions);
        if (result >= 0)
        {
            result = AddActions(actions, directory.First, devNull.First, input, output, errors);
            result = result < 0 ? result : Libc.Spawn(out pid, program.First, actions, attributes, arguments.Pointers, environment.Pointers);
            Libc.SpawnActionsDestroy(actions);
        }

        Libc.SpawnAttributesDestroy(attributes);
        return result;
    }

    private static int AddActions(byte* actions, byte* directory, byte* devNull, int input, int output, int errors)
    {
        var result = Redirect(actions, input, 0, devNull, Libc.O_RDONLY);
        result = result < 0 ? result : Redirect(actions, output, 1, devNull, Libc.O_WRONLY);
        result = result < 0 ? result : Redirect(actions, errors, 2, devNull, Libc.O_WRONLY);
        return result < 0 || directory is null ? result : Libc.SpawnActionsChangeDirectory(actions, directory);
    }

    private static int Redirect(byte* actions, int from, int to, byte* devNull, int flags) =>
        from >= 0 ? Libc.SpawnActionsDuplicate(actions, from, to) : Libc.SpawnActionsOpen(actions, to, devNull, flags);

    private static string Explain(ChildCommand command, int error)
    {
        const int noEntry = 2;
        const int tooBig = 7;
        const int notExecutable = 8;
        const int denied = 13;
        return error switch
        {
            // The file and the directory were looked at before, so what is missing is what the file names.
            noEntry => $"'{command.Program}' needs an interpreter or loader that does not exist (its #! line names it)",
            tooBig => "its arguments and environment together are too long for the kernel",
            notExecutable => $"'{command.Program}' is not a program; a script needs a #! line",
            denied => $"this user may not execute '{command.Program}' in '{command.Directory ?? "."}'",
            _ when SystemError.IsShortage(error) => SystemError.Describe(error),
            _ => $"'{command.Program}': {SystemError.Describe(error)}",
        };
    }

    private static void CloseAll(params ReadOnlySpan<int> descriptors)
    {
        foreach (var descriptor in descriptors)
        {
            if (descriptor >= 0)
            {
                _ = Libc.Close(descriptor);
            }
        }
    }

    private void Signal(int signal)
    {
        Invariant.That(!_isGone, "a group that is gone gets no signal");

        // A refusal means that the whole group became another user's (a setuid program); the supervisor's patience ends some time.
        _ = Libc.KillGroup(Pid, signal);
    }
}

/// <summary>The reading end of a child's standard output or error. Owned by the thread that owns the child.</summary>
public sealed unsafe class ChildOutput : PolledDescriptor
{
    internal ChildOutput(int descriptor)
        : base(descriptor)
    {
    }

    public bool IsOpen => Descriptor >= 0;

    /// <summary>
    /// Reads what is there, without waiting when the descriptor is readable (the pipe is blocking, because a child shares that
    /// property of its end; its only reader is this one). 0 at the end, when every process that held the other side is gone.
    /// </summary>
    public int Read(Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            var result = Libc.Read(Descriptor, start, buffer.Length);
            return (int)Math.Max(result, 0);
        }
    }

    public void Close() => CloseDescriptor();
}
