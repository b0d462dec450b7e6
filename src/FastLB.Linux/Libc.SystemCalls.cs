using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>
/// The two calls that every request makes four times, made directly (syscall(2)). The C library's send and recv are cancellation
/// points: in a process with threads each of them switches asynchronous cancellation on and off again (pthread_setcanceltype(3)), which
/// nobody here uses and which was a tenth of our user time. The GC transition stays, although these calls do not block: without it
/// a call is not measurably faster, and a collection would wait until the kernel has carried a packet to its receiver.
/// </summary>
internal static unsafe partial class Libc
{
    /// <summary>sendto(2). x86-64 numbers its calls in its own way; every architecture that came later shares one list.</summary>
    internal static readonly nint SendNumber = IsX64 ? 44 : 206;

    /// <summary>recvfrom(2).</summary>
    internal static readonly nint ReceiveNumber = IsX64 ? 45 : 207;

    private static bool IsX64 => RuntimeInformation.ProcessArchitecture == Architecture.X64;

    /// <summary>Variadic in C; integers and pointers travel as in any other call on the 64-bit architectures that .NET runs on.</summary>
    [LibraryImport("libc")]
    private static partial nint syscall(nint number, nint fd, byte* buffer, nuint length, nint flags, void* address, void* addressLength);
}
