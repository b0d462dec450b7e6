using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>The path of a unix socket that a killed process has left behind, which nobody can listen on as long as it is there.</summary>
public static class StaleSocket
{
    /// <summary>Removes it if it is a socket that nobody answers on. Anything else stays, and binding there says that the address is in use.</summary>
    public static void Remove(Endpoint endpoint)
    {
        if (endpoint.UnixPath is { } path && IsSocket(path) && !IsAnswered(endpoint))
        {
            try
            {
                File.Delete(path);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // Binding will say that the address is in use.
            }
        }
    }

    /// <summary>Whether a socket is there, and not a file, a directory, a link or nothing.</summary>
    public static bool IsSocket(string path) => Libc.FileType(path) == Libc.S_IFSOCK;

    private static bool IsAnswered(Endpoint endpoint)
    {
        var descriptor = Libc.Socket(Libc.AF_UNIX);
        if (descriptor < 0)
        {
            return true;
        }

        Span<byte> address = stackalloc byte[SocketAddress.MaxLength];
        var length = SocketAddress.Write(endpoint, address);
        var result = Libc.Connect(descriptor, address[..length]);
        Libc.Close(descriptor);
        return result != -IoError.ConnectionRefused;
    }
}
