using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace FastLB.Linux;

/// <summary>
/// A directory of this run that no other user can enter, for the sockets of workers. Its name is not to be guessed, because the place
/// may be one that everybody writes to.
/// </summary>
public static class PrivateDirectory
{
    /// <summary>Creates one under the user's runtime directory, else under the directory for temporary files.</summary>
    /// <param name="longestPathBytes">The longest path, in bytes, that the directory may have.</param>
    /// <exception cref="IOException">None of the places takes it.</exception>
    public static string Create(int longestPathBytes)
    {
        var name = $"fastlb-{RandomNumberGenerator.GetHexString(12, lowercase: true)}";
        string?[] places = [Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR"), $"/run/user/{Libc.UserId()}", Path.GetTempPath(), "/tmp"];
        var problem = "";
        foreach (var place in places)
        {
            if (string.IsNullOrEmpty(place) || !Path.IsPathRooted(place))
            {
                continue;
            }

            var path = Path.Combine(place, name);
            if (System.Text.Encoding.UTF8.GetByteCount(path) > longestPathBytes)
            {
                problem = $"{place} is too long a path for a unix socket";
                continue;
            }

            var result = Libc.CreatePrivateDirectory(path);
            if (result >= 0)
            {
                return path;
            }

            problem = $"{place}: {Marshal.GetPInvokeErrorMessage(-result)}";
        }

        throw new IOException($"no directory takes the workers' unix sockets ({problem}); set XDG_RUNTIME_DIR to a short path that this user may write to");
    }
}
