using System.Globalization;
using System.Net;
using System.Net.Sockets;
using FastLB.Linux;

namespace FastLB.Fleet;

/// <summary>
/// Gives each worker a port of its own on 127.0.0.1. Not one from bind(0): those are the kernel's for outgoing connections, and one of
/// them could take the port before the worker binds it. So the ports lie outside that range, go round, which keeps a killed worker's
/// port unused for long, and are tried before they are given out.
/// </summary>
internal sealed class PortAllocator
{
    private const int LowestPort = 20_000;
    private const int FallbackEnd = 32_000;

    /// <summary>A range that is smaller would come round too soon.</summary>
    private const int SmallestRange = 1_000;

    private readonly HashSet<int> _taken = [];
    private readonly Func<int, bool> _isFree;
    private readonly int _first;
    private readonly int _end;
    private int _next;

    /// <param name="range">The first port and the one after the last.</param>
    /// <param name="start">Where to begin in it; by chance, so that two FastLBs on a machine seldom try the same.</param>
    /// <param name="isFree">Whether a port can be bound now.</param>
    public PortAllocator((int First, int End) range, int start, Func<int, bool> isFree)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(range.First, range.End);
        (_first, _end) = range;
        _next = _first + (start % (_end - _first));
        _isFree = isFree;
    }

    public static PortAllocator ForThisMachine() =>
        new(RangeBeside(ReadEphemeralRange()), Random.Shared.Next(ushort.MaxValue), CanBind);

    /// <summary>A port that no live worker has and that can be bound, or null when none is left.</summary>
    /// <exception cref="IOException">No port can be tried now; the message is a clause that says why.</exception>
    public int? TryTake()
    {
        for (var tried = 0; tried < _end - _first; tried++)
        {
            var port = _next;
            _next = port + 1 == _end ? _first : port + 1;
            if (!_taken.Contains(port) && _isFree(port))
            {
                _taken.Add(port);
                return port;
            }
        }

        return null;
    }

    /// <summary>Its worker is gone. It comes up again when all others had their turn.</summary>
    public void Return(int port) => _taken.Remove(port);

    /// <summary>The ports to use when the kernel keeps those of <paramref name="ephemeral"/> (first and last, as the kernel writes it).</summary>
    internal static (int First, int End) RangeBeside((int First, int Last)? ephemeral)
    {
        if (ephemeral is not { } range)
        {
            return (LowestPort, FallbackEnd);
        }

        if (range.First >= LowestPort + SmallestRange)
        {
            return (LowestPort, range.First);
        }

        // The kernel was given nearly everything: what lies above, else below it, else there is no good place.
        return ushort.MaxValue - range.Last >= SmallestRange ? (range.Last + 1, ushort.MaxValue + 1)
            : range.First >= 1024 + SmallestRange ? (Math.Max(1024, range.First - (4 * SmallestRange)), range.First)
            : (LowestPort, FallbackEnd);
    }

    private static (int First, int Last)? ReadEphemeralRange()
    {
        try
        {
            var words = File.ReadAllText("/proc/sys/net/ipv4/ip_local_port_range").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            return (int.Parse(words[0], CultureInfo.InvariantCulture), int.Parse(words[1], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or IndexOutOfRangeException)
        {
            return null;
        }
    }

    /// <exception cref="IOException">The kernel gives no socket to try with.</exception>
    internal static bool CanBind(int port)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressAlreadyInUse or SocketError.AccessDenied)
        {
            return false;
        }
        catch (SocketException e)
        {
            // The runtime has one code for the limit of this process and that of the machine; the first is the usual one.
            throw new IOException(e.SocketErrorCode == SocketError.TooManyOpenSockets ? SystemError.NoDescriptors : e.Message, e);
        }
    }
}
