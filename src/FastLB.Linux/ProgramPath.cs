namespace FastLB.Linux;

/// <summary>
/// Finds the file that a command means, as execvp(3) would, but with the PATH and the directory that the child gets, and with an
/// answer for people when there is none.
/// </summary>
public static class ProgramPath
{
    /// <summary>What execvp(3) searches when PATH is not set.</summary>
    private const string DefaultPath = "/usr/local/bin:/usr/bin:/bin";

    /// <summary>The path of <paramref name="program"/>, absolute when the directory is, or null and a clause that says what is wrong.</summary>
    /// <param name="program">A name to look up, or anything with a slash: a path from <paramref name="directory"/>.</param>
    /// <param name="path">The child's PATH; null when it has none.</param>
    /// <param name="directory">The child's working directory, absolute; null when it is the caller's own, which is never named, because it may have been removed.</param>
    /// <param name="problem">Follows the words "cannot start ...:".</param>
    public static string? Find(string program, string? path, string? directory, out string problem)
    {
        problem = "";
        if (directory is not null && !Directory.Exists(directory))
        {
            problem = $"its directory '{directory}' does not exist";
            return null;
        }

        if (program.Length == 0 || program.Contains('\0', StringComparison.Ordinal))
        {
            problem = "its command is empty or holds a zero byte";
            return null;
        }

        if (program.Contains('/', StringComparison.Ordinal))
        {
            var file = From(directory, program);
            if (IsProgram(file))
            {
                return file;
            }

            problem = Directory.Exists(file) ? $"'{file}' is a directory"
                : File.Exists(file) ? $"'{file}' is not executable (chmod +x makes it so)"
                : directory is null && !Path.IsPathRooted(file) && !OwnDirectory.Exists ? $"'{file}' cannot be found, because {OwnDirectory.Vanished}"
                : $"'{file}' does not exist";
            return null;
        }

        foreach (var entry in (path ?? DefaultPath).Split(':'))
        {
            // An empty entry means the working directory (POSIX, "Other Environment Variables").
            var file = Path.Combine(From(directory, entry.Length == 0 ? "." : entry), program);
            if (IsProgram(file))
            {
                return file;
            }
        }

        problem = $"'{program}': no such program in PATH";
        return null;
    }

    private static string From(string? directory, string path) => directory is null ? path : Path.GetFullPath(path, directory);

    private static bool IsProgram(string file) => File.Exists(file) && Libc.IsExecutable(file);
}
