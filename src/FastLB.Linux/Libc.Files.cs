namespace FastLB.Linux;

/// <summary>Files: open(2), write(2). The flags are those of x86-64 and arm64, which agree on these.</summary>
internal static unsafe partial class Libc
{
    private const int O_CREAT = 0x40;
    private const int O_APPEND = 0x400;

    /// <param name="path">Ends with a zero byte.</param>
    /// <param name="mode">Of a file that is made.</param>
    internal static int OpenForAppending(ReadOnlySpan<byte> path, uint mode)
    {
        fixed (byte* text = path)
        {
            return Check(open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode));
        }
    }

    internal static nint Write(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            return Write(fd, start, bytes.Length);
        }
    }
}
