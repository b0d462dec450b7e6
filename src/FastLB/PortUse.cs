using System.Globalization;
using System.Net;

namespace FastLB;

/// <summary>
/// Finds out who listens on an address that could not be bound, from /proc/net/tcp (proc(5)). Only for error messages: what it
/// cannot read it does not know.
/// </summary>
internal static class PortUse
{
    /// <summary>TCP_LISTEN in the kernel's include/net/tcp_states.h.</summary>
    private const string ListenState = "0A";

    /// <summary>"process 123 (node)", or "another process" when that cannot be seen; null when nobody (or only this process) listens.</summary>
    public static string? WhoListens(Endpoint endpoint)
    {
        if (endpoint.IsUnix)
        {
            return null;
        }

        try
        {
            var inodes = ListeningInodes("/proc/net/tcp", endpoint).Concat(ListeningInodes("/proc/net/tcp6", endpoint)).ToHashSet();
            return inodes.Count == 0 ? null : OwnerOf(inodes);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static List<string> ListeningInodes(string table, Endpoint endpoint)
    {
        var inodes = new List<string>();
        if (!File.Exists(table))
        {
            return inodes;
        }

        foreach (var line in File.ReadLines(table).Skip(1))
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > 9 && fields[3] == ListenState && TryParse(fields[1], out var address, out var port) &&
                port == endpoint.Port && Overlap(address, endpoint.Address!))
            {
                inodes.Add(fields[9]);
            }
        }

        return inodes;
    }

    /// <summary>An address of the table: words of 4 bytes in the byte order of the machine, then the port.</summary>
    private static bool TryParse(string field, out IPAddress address, out int port)
    {
        (address, port) = (IPAddress.None, 0);
        var colon = field.IndexOf(':', StringComparison.Ordinal);
        if (colon is not (8 or 32) || !int.TryParse(field.AsSpan(colon + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out port))
        {
            return false;
        }

        var bytes = Convert.FromHexString(field[..colon]);
        for (var word = 0; word < bytes.Length && BitConverter.IsLittleEndian; word += 4)
        {
            Array.Reverse(bytes, word, 4);
        }

        address = new IPAddress(bytes);
        return true;
    }

    private static bool Overlap(IPAddress one, IPAddress other) =>
        one.Equals(other) || one.Equals(IPAddress.Any) || one.Equals(IPAddress.IPv6Any) || other.Equals(IPAddress.Any) || other.Equals(IPAddress.IPv6Any);

    private static string? OwnerOf(HashSet<string> inodes)
    {
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(process), CultureInfo.InvariantCulture, out var pid) || !Owns(process, inodes))
            {
                continue;
            }

            return pid == Environment.ProcessId ? null : $"process {pid} ({File.ReadAllText($"{process}/comm").Trim()})";
        }

        return "another process";
    }

    private static bool Owns(string process, HashSet<string> inodes)
    {
        try
        {
            return Directory.EnumerateFiles($"{process}/fd")
                .Select(fd => new FileInfo(fd).LinkTarget)
                .Any(target => target is not null && target.StartsWith("socket:[", StringComparison.Ordinal) && inodes.Contains(target[8..^1]));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Another user's process, or one that just ended.
            return false;
        }
    }
}
