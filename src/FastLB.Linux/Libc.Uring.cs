using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>io_uring's three system calls, for which the C library has no names, and the mapping of its rings. io_uring(7), mmap(2).</summary>
internal static unsafe partial class Libc
{
    internal const int EPERM = 1;
    internal const int EBUSY = 16;
    internal const int EINVAL = 22;
    internal const int ENOSYS = 38;
    internal const int ETIME = 62;
    internal const int ECANCELED = 125;
    internal const int SO_PEERNAME = 28;

    // The same numbers on every architecture that .NET runs on: they are younger than the common table.
    private const nint IoUringSetupCall = 425;
    private const nint IoUringEnterCall = 426;
    private const nint IoUringRegisterCall = 427;

    private const int ProtReadWrite = 3;
    private const int MapShared = 0x01;
    private const int MapPrivate = 0x02;
    private const int MapAnonymous = 0x20;
    private const int MapPopulate = 0x8000;
    private const int MapNoReserve = 0x4000;

    internal static int UringSetup(uint entries, UringParameters* parameters) =>
        (int)Check(syscall(IoUringSetupCall, (nint)entries, (nint)parameters, 0, 0, 0, 0));

    internal static int UringEnter(int ring, uint submit, uint complete, uint flags, void* argument, nint size) =>
        (int)Check(syscall(IoUringEnterCall, ring, (nint)submit, (nint)complete, (nint)flags, (nint)argument, size));

    internal static int UringRegister(int ring, uint operation, void* argument, uint count) =>
        (int)Check(syscall(IoUringRegisterCall, ring, (nint)operation, (nint)argument, (nint)count, 0, 0));

    /// <summary>A ring's memory, shared with the kernel; null when it cannot be mapped.</summary>
    internal static byte* MapRing(int ring, nint length, long offset) =>
        Mapped(mmap(null, length, ProtReadWrite, MapShared | MapPopulate, ring, (nint)offset));

    /// <summary>Zeroed memory on pages of its own, which exists only where it is touched; null when there is none.</summary>
    internal static byte* MapMemory(nint length) =>
        Mapped(mmap(null, length, ProtReadWrite, MapPrivate | MapAnonymous | MapNoReserve, -1, 0));

    internal static void Unmap(byte* address, nint length)
    {
        if (address is not null)
        {
            _ = munmap(address, length);
        }
    }

    private static byte* Mapped(nint result) => result == -1 ? null : (byte*)result;

    [LibraryImport("libc")]
    private static partial nint syscall(nint number, nint first, nint second, nint third, nint fourth, nint fifth, nint sixth);

    [LibraryImport("libc")]
    private static partial nint mmap(void* address, nint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nint length);
}
