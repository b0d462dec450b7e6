using System.Globalization;
using System.Text;

namespace FastLB.Linux;

/// <summary>
/// Finds processes by what stands in the environment that they were started with (proc(5), /proc/pid/environ) and kills them. That
/// reaches grandchildren which left their process group. It does not reach a program that wrote over its environment, one that was
/// started without it, or one of another user that this one may not read.
/// </summary>
public static unsafe class MarkedProcesses
{
    /// <summary>More than this of an environment is not looked at; FastLB's entries come first in it.</summary>
    private const int EnvironmentBytes = 64 * 1024;

    /// <summary>Sends SIGKILL to every process whose environment holds all of <paramref name="entries"/> (NAME=value).</summary>
    /// <returns>How many there were. They may still be on their way out.</returns>
    public static int Kill(params IReadOnlyList<string> entries)
    {
        var wanted = entries.Select(entry => Encoding.UTF8.GetBytes($"\0{entry}\0")).ToArray();
        var killed = 0;
        var buffer = new byte[EnvironmentBytes + 2];
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var pid))
            {
                continue;
            }

            // The descriptor comes before the look: should the number be given to another process meanwhile, the signal goes nowhere.
            var pidfd = Libc.PidfdOpen(pid);
            if (pidfd < 0)
            {
                continue;
            }

            if (Holds($"{directory}/environ", buffer, wanted) && Libc.PidfdSendSignal(pidfd, Libc.SIGKILL) >= 0)
            {
                killed++;
            }

            _ = Libc.Close(pidfd);
        }

        return killed;
    }

    private static bool Holds(string environFile, byte[] buffer, byte[][] wanted)
    {
        using var path = new CStrings([environFile]);
        var file = Libc.OpenForReading(path.First);
        if (file < 0)
        {
            return false;
        }

        // A zero byte before and after makes every entry look the same, also the first and a cut last one.
        var length = 1;
        fixed (byte* start = buffer)
        {
            nint read;
            while (length <= EnvironmentBytes && (read = Libc.Read(file, start + length, EnvironmentBytes + 1 - length)) > 0)
            {
                length += (int)read;
            }
        }

        _ = Libc.Close(file);
        buffer[length++] = 0;
        foreach (var entry in wanted)
        {
            if (buffer.AsSpan(0, length).IndexOf(entry) < 0)
            {
                return false;
            }
        }

        return true;
    }
}
