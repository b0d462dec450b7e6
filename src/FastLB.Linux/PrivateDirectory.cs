using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace FastLB.Linux;

/// <summary>
/// A directory of this run that no other user can enter, for the sockets of workers. Its name is not to be guessed, because the place
/// may be one that everybody writes to.
/// </summary>
public static class PrivateDirectory
{
    /// <summary>
    /// Creates one where services keep their sockets (RUNTIME_DIRECTORY, which systemd sets, and for root /run), else under the directory
    /// for temporary files. Not under XDG_RUNTIME_DIR: it is removed when the user logs out, and FastLB may go on without them.
    /// </summary>
    /// <param name="longestPathBytes">The longest path, in bytes, that the directory may have.</param>
    /// <exception cref="IOException">None of the places takes it; the message is a sentence for the person who started FastLB.</exception>
    public static string Create(int longestPathBytes)
    {
        // systemd.exec(5): several directories are separated by colons.
        var service = Environment.GetEnvironmentVariable("RUNTIME_DIRECTORY")?.Split(':')[0];
        return CreateIn([service, Libc.UserId() == 0 ? "/run" : null, Path.GetTempPath(), "/tmp"], longestPathBytes);
    }

    /// <summary>The same in the first of these places that takes it; null and relative ones are passed over.</summary>
    internal static string CreateIn(IReadOnlyList<string?> places, int longestPathBytes)
    {
        var name = $"fastlb-{RandomNumberGenerator.GetHexString(12, lowercase: true)}";
        var problems = new List<string>();
        foreach (var place in places)
        {
            if (string.IsNullOrEmpty(place) || !Path.IsPathRooted(place))
            {
                continue;
            }

            var path = Path.Combine(place, name);
            if (System.Text.Encoding.UTF8.GetByteCount(path) > longestPathBytes)
            {
                problems.Add($"{place} is too long a path for a unix socket");
                continue;
            }

            var result = Libc.CreatePrivateDirectory(path);
            if (result >= 0)
            {
                return path;
            }

            problems.Add($"{place}: {Marshal.GetPInvokeErrorMessage(-result)}");
        }

        throw new IOException(
            $"no directory takes the workers' unix sockets ({string.Join("; ", problems.Distinct())}); set TMPDIR to a short path that this user may write to");
    }
}
