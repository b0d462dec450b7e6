using System.ComponentModel;
using System.Globalization;

namespace FastLB;

/// <summary>Says why an address could not be listened on, and what to do about it.</summary>
internal static class BindFailure
{
    private const int AccessDenied = 13;
    private const int AddressInUse = 98;
    private const int AddressNotAvailable = 99;

    public static string Describe(Endpoint endpoint, int error) => error switch
    {
        AddressInUse when endpoint.IsUnix => $"cannot listen on {endpoint}: another process answers there; stop it or choose another path",
        AddressInUse => $"cannot listen on {endpoint}: {Holder(endpoint.Port)}; stop it or choose another port",
        AccessDenied when endpoint.IsUnix => $"cannot listen on {endpoint}: no permission to create the socket there",
        AccessDenied => $"cannot listen on {endpoint}: ports below 1024 need root or CAP_NET_BIND_SERVICE",
        AddressNotAvailable => $"cannot listen on {endpoint}: this machine does not have that address",
        _ => $"cannot listen on {endpoint}: {new Win32Exception(error).Message}",
    };

    /// <summary>Who listens on the port, from /proc, as far as this user may see it.</summary>
    private static string Holder(int port)
    {
        try
        {
            var inodes = ListeningInodes(port);
            foreach (var directory in Directory.EnumerateDirectories("/proc").Where(d => char.IsAsciiDigit(Path.GetFileName(d)[0])))
            {
                if (HoldsOneOf(directory, inodes))
                {
                    var name = File.ReadAllText(Path.Combine(directory, "comm")).Trim();
                    return $"{name} (pid {Path.GetFileName(directory)}) listens there already";
                }
            }
        }
        catch (IOException)
        {
            // Without /proc the short answer has to do.
        }

        return "another process listens there already";
    }

    private static HashSet<string> ListeningInodes(int port)
    {
        const string listenState = "0A";
        var inodes = new HashSet<string>();
        var suffix = ":" + port.ToString("X4", CultureInfo.InvariantCulture);
        foreach (var table in new[] { "/proc/net/tcp", "/proc/net/tcp6" }.Where(File.Exists))
        {
            foreach (var line in File.ReadLines(table).Skip(1))
            {
                var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (fields.Length > 9 && fields[1].EndsWith(suffix, StringComparison.Ordinal) && fields[3] == listenState)
                {
                    inodes.Add($"socket:[{fields[9]}]");
                }
            }
        }

        return inodes;
    }

    private static bool HoldsOneOf(string processDirectory, HashSet<string> inodes)
    {
        try
        {
            return Directory.EnumerateFiles(Path.Combine(processDirectory, "fd"))
                .Any(fd => File.ResolveLinkTarget(fd, returnFinalTarget: false) is { } target && inodes.Contains(target.Name));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The process ended, or belongs to somebody else.
            return false;
        }
    }
}
