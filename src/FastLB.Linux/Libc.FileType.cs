using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>What a path is, where .NET does not say (stat(2)).</summary>
internal static unsafe partial class Libc
{
    internal const int AT_FDCWD = -100;
    internal const int AT_SYMLINK_NOFOLLOW = 0x100;
    internal const uint STATX_TYPE = 1;
    internal const int S_IFMT = 0xF000;
    internal const int S_IFSOCK = 0xC000;

    /// <summary>struct statx, of which only the mode is looked at; its layout is the same on every processor.</summary>
    internal const int StatxBytes = 256;
    internal const int StatxModeOffset = 28;

    /// <summary>The kind of a file in the bits of <see cref="S_IFMT"/>, of a symbolic link itself; -errno when it cannot be asked.</summary>
    internal static int FileType(string path)
    {
        var buffer = stackalloc byte[StatxBytes];
        var result = Check(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, buffer));
        return result < 0 ? result : *(ushort*)(buffer + StatxModeOffset) & S_IFMT;
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int directory, string path, int flags, uint mask, byte* buffer);
}
