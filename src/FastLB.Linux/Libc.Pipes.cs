using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>Pipes and what moves bytes through them: pipe(7), splice(2), fcntl(2).</summary>
internal static unsafe partial class Libc
{
    internal const int O_NONBLOCK = 0x800;
    internal const int F_SETPIPE_SZ = 1031;
    internal const int F_GETPIPE_SZ = 1032;
    internal const uint SPLICE_F_MOVE = 1;
    internal const uint SPLICE_F_NONBLOCK = 2;

    /// <summary>Both ends are close-on-exec and non-blocking.</summary>
    internal static int NonBlockingPipe(out int readEnd, out int writeEnd)
    {
        var ends = stackalloc int[2];
        var result = Check(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
        (readEnd, writeEnd) = (ends[0], ends[1]);
        return result;
    }

    /// <summary>The pipe's capacity after the kernel was asked for <paramref name="wanted"/> bytes; it may refuse, and keeps what was.</summary>
    internal static int ResizePipe(int pipe, int wanted)
    {
        var result = Check(fcntl(pipe, F_SETPIPE_SZ, wanted));
        return result >= 0 ? result : Check(fcntl(pipe, F_GETPIPE_SZ, 0));
    }

    /// <summary>
    /// Moves up to <paramref name="length"/> bytes between a socket and a pipe, in either direction, without waiting. A socket that
    /// takes nothing any more raises SIGPIPE besides -EPIPE, as splice(2) has no MSG_NOSIGNAL; the .NET runtime ignores that signal.
    /// SPLICE_F_MORE is not used: it holds back the last bytes wherever nothing follows at once.
    /// </summary>
    internal static nint Splice(int from, int to, nint length) =>
        Check(splice(from, null, to, null, (nuint)length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));

    [LibraryImport("libc")]
    private static partial nint splice(int from, long* fromOffset, int to, long* toOffset, nuint length, uint flags);
}
