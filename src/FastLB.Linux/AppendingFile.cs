using System.Text;

namespace FastLB.Linux;

/// <summary>
/// A file that is only ever written at its end, by whomever (O_APPEND), or standard error. Writing waits as long as the system does. One thread at a time.
/// </summary>
public sealed class AppendingFile : IDisposable
{
    /// <summary>Its owner may write, its group may read.</summary>
    private const uint Mode = 0b110_100_000;

    private const int StandardErrorDescriptor = 2;

    private readonly int _descriptor;

    private AppendingFile(int descriptor) => _descriptor = descriptor;

    /// <summary>The process's standard error, which stays open when this is disposed.</summary>
    public static AppendingFile StandardError { get; } = new(StandardErrorDescriptor);

    /// <summary>Opens the file, and makes it if it is not there. Never waits, not even for who is to read a pipe. 0, or -errno.</summary>
    public static int Open(string path, out AppendingFile? file)
    {
        var descriptor = Libc.OpenForAppending(Encoding.UTF8.GetBytes(path + '\0'), Mode);
        file = descriptor < 0 ? null : new AppendingFile(descriptor);
        return Math.Min(descriptor, 0);
    }

    /// <summary>What was in the way of opening, and in the second clause what to do about it.</summary>
    /// <param name="error">The errno, above 0.</param>
    public static (string Reason, string Advice) Describe(int error) => error == Libc.ENXIO
        ? ("it is a pipe that nobody reads, or a socket", "start its reader first")
        : (SystemError.Describe(error), "make its directory writable for FastLB");

    /// <summary>Writes all of it. 0, or -errno; then an unknown part of it was written.</summary>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var written = Libc.Write(_descriptor, bytes);
            if (written < 0 && written != -Libc.EINTR)
            {
                return (int)written;
            }

            bytes = bytes[(int)Math.Max(0, written)..];
        }

        return 0;
    }

    public void Dispose()
    {
        if (_descriptor != StandardErrorDescriptor)
        {
            Libc.Close(_descriptor);
        }
    }
}
