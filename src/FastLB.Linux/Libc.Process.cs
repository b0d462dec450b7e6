using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>
/// Processes: posix_spawn(3), pidfd_open(2), waitid(2), kill(2) and poll(2). What is declared here about C's layouts is compared with
/// the system's headers by <c>native/abi_check_process.c</c> in the tests.
/// </summary>
internal static unsafe partial class Libc
{
    internal const int SIGKILL = 9;
    internal const int SIGTERM = 15;

    internal const int ESRCH = 3;
    internal const int EIO = 5;
    internal const int ECHILD = 10;
    internal const int ENOMEM = 12;
    internal const int ENFILE = 23;
    internal const int EMFILE = 24;

    internal const int RLIMIT_NOFILE = 7;

    internal const int O_RDONLY = 0;
    internal const int O_WRONLY = 1;
    internal const int O_RDWR = 2;
    internal const int O_CLOEXEC = 0x80000;

    internal const short POLLIN = 1;

    internal const short POSIX_SPAWN_SETPGROUP = 0x02;
    internal const short POSIX_SPAWN_SETSIGDEF = 0x04;
    internal const short POSIX_SPAWN_SETSIGMASK = 0x08;
    internal const short POSIX_SPAWN_SETSID = 0x80;

    /// <summary>Room for a posix_spawnattr_t, which is opaque: 336 bytes in glibc and musl on 64-bit machines.</summary>
    internal const int SpawnAttributesBytes = 512;

    /// <summary>Room for a posix_spawn_file_actions_t, which is opaque: 80 bytes in glibc and musl on 64-bit machines.</summary>
    internal const int SpawnActionsBytes = 256;

    /// <summary>The size of a sigset_t in glibc and musl.</summary>
    internal const int SignalSetBytes = 128;

    internal const int CLD_EXITED = 1;
    internal const int CLD_KILLED = 2;
    internal const int CLD_DUMPED = 3;

    internal const int P_PID = 1;
    internal const int P_PGID = 2;
    internal const int P_PIDFD = 3;
    internal const int X_OK = 1;
    internal const int WNOHANG = 1;
    internal const int WEXITED = 4;

    // These numbers are the same on every architecture: they are younger than the common table (Linux 5.1).
    internal const int SYS_pidfd_send_signal = 424;
    internal const int SYS_pidfd_open = 434;
    internal const int SYS_close_range = 436;

    internal const int CLOSE_RANGE_CLOEXEC = 4;

    /// <summary>struct pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    /// <summary>The part of siginfo_t that waitid(2) fills in, on 64-bit machines.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 128)]
    internal struct ChildInfo
    {
        [FieldOffset(0)]
        public int Signal;

        [FieldOffset(8)]
        public int Code;

        [FieldOffset(16)]
        public int Pid;

        [FieldOffset(24)]
        public int Status;
    }

    /// <summary>posix_spawn(3). 0 or -errno; unlike its neighbours it returns the error instead of setting errno.</summary>
    internal static int Spawn(out int pid, byte* path, byte* actions, byte* attributes, byte** arguments, byte** environment)
    {
        fixed (int* p = &pid)
        {
            return -posix_spawn(p, path, actions, attributes, arguments, environment);
        }
    }

    internal static int SpawnAttributesInit(byte* attributes, short flags, byte* defaultSignals, byte* mask)
    {
        var result = posix_spawnattr_init(attributes);
        if (result == 0)
        {
            result = posix_spawnattr_setflags(attributes, flags);
        }

        if (result == 0)
        {
            result = posix_spawnattr_setpgroup(attributes, 0);
        }

        if (result == 0)
        {
            result = posix_spawnattr_setsigdefault(attributes, defaultSignals);
        }

        if (result == 0)
        {
            result = posix_spawnattr_setsigmask(attributes, mask);
        }

        return -result;
    }

    internal static void SpawnAttributesDestroy(byte* attributes) => _ = posix_spawnattr_destroy(attributes);

    internal static int SpawnActionsInit(byte* actions) => -posix_spawn_file_actions_init(actions);

    internal static int SpawnActionsOpen(byte* actions, int fd, byte* path, int flags) =>
        -posix_spawn_file_actions_addopen(actions, fd, path, flags, 0);

    internal static int SpawnActionsDuplicate(byte* actions, int from, int to) => -posix_spawn_file_actions_adddup2(actions, from, to);

    internal static int SpawnActionsChangeDirectory(byte* actions, byte* path) => -posix_spawn_file_actions_addchdir_np(actions, path);

    internal static void SpawnActionsDestroy(byte* actions) => _ = posix_spawn_file_actions_destroy(actions);

    internal static void FillSignalSet(byte* set) => _ = sigfillset(set);

    /// <summary>A descriptor that becomes readable when the process has exited; close-on-exec.</summary>
    internal static int PidfdOpen(int pid) => (int)Check(syscall(SYS_pidfd_open, pid, 0, 0, 0));

    internal static int PidfdSendSignal(int pidfd, int signal) => (int)Check(syscall(SYS_pidfd_send_signal, pidfd, signal, 0, 0));

    /// <summary>Reaps the child if it has exited. <c>info.Pid</c> stays 0 when it still runs.</summary>
    internal static int WaitExited(int pidfd, out ChildInfo info)
    {
        info = default;
        fixed (ChildInfo* p = &info)
        {
            return Check(waitid(P_PIDFD, (uint)pidfd, p, WEXITED | WNOHANG));
        }
    }

    /// <summary>Waits for and reaps a child that was sent SIGKILL.</summary>
    internal static int WaitKilled(int pid)
    {
        ChildInfo info;
        return Check(waitid(P_PID, (uint)pid, &info, WEXITED));
    }

    /// <summary>Reaps a child that has exited and is in the group, if there is one. <c>info.Pid</c> stays 0 when there is none.</summary>
    internal static int WaitExitedInGroup(int processGroup, out ChildInfo info)
    {
        info = default;
        fixed (ChildInfo* p = &info)
        {
            return Check(waitid(P_PGID, (uint)processGroup, p, WEXITED | WNOHANG));
        }
    }

    /// <summary>Whether any process, a zombie too, is in the group.</summary>
    internal static bool GroupExists(int processGroup) => KillGroup(processGroup, 0) != -ESRCH;

    internal static int KillGroup(int processGroup, int signal) => Check(kill(-processGroup, signal));

    /// <summary>The signal does what it does to a process that never said anything about it.</summary>
    internal static void RestoreDefault(int number) => signal(number, 0);

    /// <summary>Both ends are close-on-exec and blocking.</summary>
    internal static int Pipe(out int readEnd, out int writeEnd)
    {
        var ends = stackalloc int[2];
        var result = Check(pipe2(ends, O_CLOEXEC));
        (readEnd, writeEnd) = (ends[0], ends[1]);
        return result;
    }

    /// <summary>Marks all open descriptors from <paramref name="first"/> on close-on-exec. -errno before Linux 5.11.</summary>
    internal static int CloseOnExecFrom(int first) => (int)Check(syscall(SYS_close_range, first, int.MaxValue, CLOSE_RANGE_CLOEXEC, 0));

    internal static int Poll(PollDescriptor* descriptors, int count, int timeoutMs) => Check(poll(descriptors, (nuint)count, timeoutMs));

    /// <summary>Whether this user may execute the file (or enter the directory).</summary>
    internal static bool IsExecutable(string path)
    {
        using var name = new CStrings([path]);
        return access(name.First, X_OK) == 0;
    }

    /// <summary>Creates a directory that only this user enters. Fails when anything of that name exists.</summary>
    internal static int CreatePrivateDirectory(string path)
    {
        using var name = new CStrings([path]);
        return Check(mkdir(name.First, Convert.ToUInt32("700", 8)));
    }

    internal static uint UserId() => geteuid();

    /// <summary>How many descriptors this process may have (ulimit -n), 0 when the kernel does not say.</summary>
    internal static ulong DescriptorLimit()
    {
        var limits = stackalloc ulong[2];
        return getrlimit(RLIMIT_NOFILE, limits) == 0 ? limits[0] : 0;
    }

    /// <summary>For reading and writing; children inherit it.</summary>
    internal static int OpenInheritable(byte* path) => Check(open(path, O_RDWR, 0));

    internal static int OpenForReading(byte* path) => Check(open(path, O_RDONLY | O_CLOEXEC, 0));

    [LibraryImport("libc")]
    private static partial int posix_spawn(int* pid, byte* path, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_init(byte* attributes);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_destroy(byte* attributes);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setflags(byte* attributes, short flags);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setpgroup(byte* attributes, int processGroup);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setsigdefault(byte* attributes, byte* set);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setsigmask(byte* attributes, byte* set);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_addopen(byte* actions, int fd, byte* path, int flags, uint mode);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_adddup2(byte* actions, int from, int to);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_addchdir_np(byte* actions, byte* path);

    [LibraryImport("libc")]
    private static partial int access(byte* path, int mode);

    [LibraryImport("libc")]
    private static partial int mkdir(byte* path, uint mode);

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc")]
    private static partial int getrlimit(int resource, ulong* limits);

    [LibraryImport("libc")]
    private static partial int sigfillset(byte* set);

    [LibraryImport("libc")]
    private static partial nint syscall(nint number, nint first, nint second, nint third, nint fourth);

    [LibraryImport("libc")]
    private static partial int waitid(int idType, uint id, ChildInfo* info, int options);

    [LibraryImport("libc")]
    private static partial int kill(int pid, int signal);

    [LibraryImport("libc")]
    private static partial nint signal(int number, nint handler);

    [LibraryImport("libc")]
    private static partial int pipe2(int* ends, int flags);

    [LibraryImport("libc")]
    private static partial int poll(PollDescriptor* descriptors, nuint count, int timeoutMs);

    [LibraryImport("libc")]
    private static partial int open(byte* path, int flags, uint mode);
}
