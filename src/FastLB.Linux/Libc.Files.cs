namespace FastLB.Linux;

/// <summary>Files: open(2), write(2). The flags are those of x86-64 and arm64, which agree on these.</summary>
internal static unsafe partial class Libc
{
    private const int O_CREAT = 0x40;
    private const int O_APPEND = 0x400;

    /// <summary>No such device: what is opened for writing is a pipe without a reader (open(2), O_NONBLOCK), or a socket.</summary>
    internal const int ENXIO = 6;

    /// <summary>Does not wait for a reader where the path is a pipe, which could take for ever; what is written to it afterwards does wait.</summary>
    /// <param name="path">Ends with a zero byte.</param>
    /// <param name="mode">Of a file that is made.</param>
    internal static int OpenForAppending(ReadOnlySpan<byte> path, uint mode)
    {
        int descriptor;
        fixed (byte* text = path)
        {
            descriptor = Check(open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, mode));
        }

        if (descriptor < 0)
        {
            return descriptor;
        }

        // Of the flags that can be set afterwards O_APPEND alone is left.
        var result = Check(fcntl(descriptor, F_SETFL, O_APPEND));
        if (result < 0)
        {
            Close(descriptor);
            return result;
        }

        return descriptor;
    }

    internal static nint Write(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            return Write(fd, start, bytes.Length);
        }
    }
}
