using System.Globalization;

namespace FastLB.Linux;

/// <summary>
/// Listening sockets that whoever started this process has opened for it, as systemd does (sd_listen_fds(3)): LISTEN_PID names this process, descriptors from 3 on are
/// given, LISTEN_FDS of them, and LISTEN_FDNAMES has their names, separated by colons. They stay open as long as the process, so a listener may be
/// closed and opened again; what loops accept on are duplicates. The variables are taken out of the environment, so that workers do not take them for theirs.
/// </summary>
public static class InheritedSockets
{
    private const int FirstDescriptor = 3;
    private const int NoSuchEntry = 2;
    private const int NotASocket = 88;

    private static readonly string[] s_names = TakeOver();

    /// <summary>The names, in the order of their numbers, from 0.</summary>
    public static IReadOnlyList<string> Names => s_names;

    /// <summary>Takes them over, as early as may be: what is started afterwards does not inherit them.</summary>
    public static void Claim() => _ = s_names;

    /// <summary>The descriptor of a name or a number; -ENOENT when there is none, -ENOTSOCK when it does not listen.</summary>
    internal static int Find(string nameOrNumber)
    {
        var index = Array.IndexOf(s_names, nameOrNumber);
        if (index < 0 && int.TryParse(nameOrNumber, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < s_names.Length)
        {
            index = number;
        }

        if (index < 0)
        {
            return -NoSuchEntry;
        }

        var descriptor = FirstDescriptor + index;
        Span<byte> listens = stackalloc byte[sizeof(int)];
        var length = Libc.GetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_ACCEPTCONN, listens);
        if (length < 0 || BitConverter.ToInt32(listens) == 0)
        {
            return -NotASocket;
        }

        Libc.SetNonBlocking(descriptor);
        return descriptor;
    }

    private static string[] TakeOver()
    {
        var pid = Environment.GetEnvironmentVariable("LISTEN_PID");
        var count = Environment.GetEnvironmentVariable("LISTEN_FDS");
        var names = Environment.GetEnvironmentVariable("LISTEN_FDNAMES")?.Split(':') ?? [];
        foreach (var variable in (string[])["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"])
        {
            Environment.SetEnvironmentVariable(variable, null);
        }

        if (pid != Environment.ProcessId.ToString(CultureInfo.InvariantCulture)
            || !int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var descriptors) || descriptors > 1024)
        {
            return [];
        }

        for (var i = 0; i < descriptors; i++)
        {
            Libc.SetCloseOnExec(FirstDescriptor + i);
        }

        return [.. Enumerable.Range(0, descriptors).Select(i => i < names.Length ? names[i] : "unknown")];
    }
}
