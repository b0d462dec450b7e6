using System.Runtime.InteropServices;

namespace FastLB.Tests.Http;

/// <summary>
/// Memory between two unreadable pages. A parser that reads one byte before or behind what it was given ends the test process,
/// which no bounds check could hide.
/// </summary>
internal sealed unsafe partial class GuardedMemory : IDisposable
{
    private const int PageBytes = 4096;
    private const int ReadWrite = 0x1 | 0x2;
    private const int PrivateAnonymous = 0x02 | 0x20;

    private readonly byte* _start;
    private readonly int _mappedBytes;

    internal GuardedMemory(int capacity)
    {
        var usablePages = Math.Max(1, (capacity + PageBytes - 1) / PageBytes);
        _mappedBytes = (usablePages + 2) * PageBytes;
        _start = (byte*)mmap(0, (nuint)_mappedBytes, ReadWrite, PrivateAnonymous, -1, 0);
        Assert.NotEqual(-1, (nint)_start);
        Assert.Equal(0, mprotect((nint)_start, PageBytes, 0));
        Assert.Equal(0, mprotect((nint)(_start + _mappedBytes - PageBytes), PageBytes, 0));
    }

    /// <summary>A copy whose last byte is the last readable one.</summary>
    internal ReadOnlySpan<byte> BeforeGuard(ReadOnlySpan<byte> bytes)
    {
        var copy = new Span<byte>(_start + _mappedBytes - PageBytes - bytes.Length, bytes.Length);
        bytes.CopyTo(copy);
        return copy;
    }

    /// <summary>A copy whose first byte is the first readable one.</summary>
    internal ReadOnlySpan<byte> BehindGuard(ReadOnlySpan<byte> bytes)
    {
        var copy = new Span<byte>(_start + PageBytes, bytes.Length);
        bytes.CopyTo(copy);
        return copy;
    }

    public void Dispose() => Assert.Equal(0, munmap((nint)_start, (nuint)_mappedBytes));

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mprotect(nint address, nuint length, int protection);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(nint address, nuint length);
}
