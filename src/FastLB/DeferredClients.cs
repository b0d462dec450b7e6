using System.Globalization;
using FastLB.Linux;

namespace FastLB;

/// <summary>
/// Clients that have connected and that the kernel keeps to itself until they speak (<see cref="ListenSockets"/>). Closing the
/// listening socket would reset them, with a request of theirs perhaps on its way, so before that they are let through.
/// </summary>
internal static class DeferredClients
{
    /// <summary>TCP_SYN_RECV in the kernel's include/net/tcp_states.h: the state that they are listed in.</summary>
    private const string WaitingState = "03";

    /// <summary>The kernel hands over even a silent client within a second.</summary>
    private const int LongestMs = 1_000;

    private const int PollMs = 10;

    /// <summary>Completes when none waits any more, after a second at the latest, or with <paramref name="atOnce"/>.</summary>
    public static async Task ComeThrough(IReadOnlyList<ListenSockets> listeners, CancellationToken atOnce)
    {
        foreach (var listener in listeners)
        {
            listener.BeginEnd();
        }

        var ports = listeners.Where(l => !l.Endpoint.IsUnix).Select(l => l.Endpoint.Port).ToHashSet();
        var deadline = Environment.TickCount64 + LongestMs;
        while (AnyWaits(ports) && Environment.TickCount64 < deadline && !atOnce.IsCancellationRequested)
        {
            await Task.Delay(PollMs, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static bool AnyWaits(HashSet<int> ports)
    {
        try
        {
            return AnyWaits("/proc/net/tcp", ports) || AnyWaits("/proc/net/tcp6", ports);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Without a look there is no telling when to stop; nobody is worth a delay of every stop.
            return false;
        }
    }

    /// <summary>The table's columns: number, local address, remote address, state (proc(5)).</summary>
    private static bool AnyWaits(string table, HashSet<int> ports) =>
        File.Exists(table) && File.ReadLines(table).Select(line => line.Split(' ', 5, StringSplitOptions.RemoveEmptyEntries)).Any(
            fields => fields.Length == 5 && fields[3] == WaitingState && ports.Contains(PortOf(fields[1])));

    private static int PortOf(string address) =>
        int.TryParse(address.AsSpan(address.IndexOf(':', StringComparison.Ordinal) + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var port)
            ? port
            : -1;
}
