using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]

namespace FastLB.Linux;

/// <summary>
/// The C library's calls that FastLB makes, grouped by what they are for in the files <c>Libc.*.cs</c>. Every wrapper answers
/// a value of at least 0 or -errno, so no caller looks at errno itself. errno is read only after a failure:
/// letting the runtime save it at each call would cost more than the call (7.8 against 1.8 ns).
/// </summary>
internal static unsafe partial class Libc
{
    internal const int EINTR = 4;
    internal const int EBADF = 9;
    internal const int EAGAIN = 11;

    internal static int Close(int fd) => Check(close(fd));

    internal static nint Read(int fd, byte* buffer, nint length) => Check(read(fd, buffer, (nuint)length));

    internal static nint Write(int fd, byte* buffer, nint length) => Check(write(fd, buffer, (nuint)length));

    /// <summary>What a call answered, with a failure turned into -errno.</summary>
    private static int Check(int result) => result >= 0 ? result : -Marshal.GetLastSystemError();

    private static nint Check(nint result) => result >= 0 ? result : -Marshal.GetLastSystemError();

    [LibraryImport("libc")]
    private static partial int close(int fd);

    [LibraryImport("libc")]
    private static partial nint read(int fd, byte* buffer, nuint length);

    [LibraryImport("libc")]
    private static partial nint write(int fd, byte* buffer, nuint length);
}
