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
    /// <returns>
    /// How many there were; they may still be on their way out. -errno when not all processes could be looked at, because descriptors
    /// or memory ran out; those that could be are killed all the same.
    /// </returns>
    public static int Kill(params IReadOnlyList<string> entries)
    {
        var wanted = entries.Select(entry => Encoding.UTF8.GetBytes($"\0{entry}\0")).ToArray();
        var killed = 0;
        var buffer = new byte[EnvironmentBytes + 2];
        var shortage = 0;
        foreach (var directory in ProcessDirectories(ref shortage))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var pid))
            {
                continue;
            }

            // The descriptor comes before the look: should the number be given to another process meanwhile, the signal goes nowhere.
            var pidfd = Libc.PidfdOpen(pid);
            if (pidfd < 0)
            {
                shortage = SystemError.IsShortage(-pidfd) ? pidfd : shortage;
                continue;
            }

            if (Holds($"{directory}/environ", buffer, wanted, ref shortage) && Libc.PidfdSendSignal(pidfd, Libc.SIGKILL) >= 0)
            {
                killed++;
            }

            _ = Libc.Close(pidfd);
        }

        return shortage < 0 ? shortage : killed;
    }

    /// <summary>All of them before the first is looked at: the open directory would take one of the last descriptors.</summary>
    private static string[] ProcessDirectories(ref int shortage)
    {
        try
        {
            return Directory.GetDirectories("/proc");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The runtime leaves the errno there when it has no HRESULT of its own for it.
            shortage = e.HResult > 0 ? -e.HResult : -Libc.EIO;
            return [];
        }
    }

    private static bool Holds(string environFile, byte[] buffer, byte[][] wanted, ref int shortage)
    {
        using var path = new CStrings([environFile]);
        var file = Libc.OpenForReading(path.First);
        if (file < 0)
        {
            shortage = SystemError.IsShortage(-file) ? file : shortage;
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
