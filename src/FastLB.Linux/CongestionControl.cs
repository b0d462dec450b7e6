using System.Net;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// Which congestion control TCP connections within the machine use. Many servers run bbr for their clients far away; it paces what it
/// sends with timers, which on the loopback interface only costs: a fifth to a third of the CPU time of large bodies
/// (perf-results/2026-11-21-congestion.md). So where the system's is not loss-based already, listeners and workers on loopback addresses get cubic,
/// or reno, which needs no privilege. All other connections keep what the administrator chose. Decided once per process.
/// </summary>
internal static unsafe class CongestionControl
{
    /// <summary>The kernel's bound for a name, with its zero byte (TCP_CA_NAME_MAX).</summary>
    internal const int MaxNameBytes = 16;

    /// <summary>What is set, in ASCII; empty when nothing is to be set.</summary>
    internal static ReadOnlySpan<byte> LoopbackName => s_loopbackName;

    private static readonly byte[] s_loopbackName = Choose();

    /// <summary>Whether connections of this address never leave the machine and the system's choice is not the right one for them.</summary>
    internal static bool IsChosenFor(Endpoint endpoint) => s_loopbackName.Length > 0 && !endpoint.IsUnix && IPAddress.IsLoopback(endpoint.Address);

    /// <summary>Sets it on a TCP socket, or on a listening one whose connections inherit it. Failure leaves the system's.</summary>
    internal static void SetLoopback(int descriptor) => Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_CONGESTION, LoopbackName);

    private static byte[] Choose()
    {
        var descriptor = Libc.Socket(Libc.AF_INET);
        if (descriptor < 0)
        {
            return [];
        }

        try
        {
            Span<byte> current = stackalloc byte[MaxNameBytes];
            var length = Libc.GetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_CONGESTION, current);
            if (length < 0 || IsLossBased(current[..length]))
            {
                return [];
            }

            return Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_CONGESTION, "cubic"u8) >= 0 ? [.. "cubic"u8]
                : Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_CONGESTION, "reno"u8) >= 0 ? [.. "reno"u8]
                : [];
        }
        finally
        {
            Libc.Close(descriptor);
        }
    }

    private static bool IsLossBased(ReadOnlySpan<byte> name)
    {
        name = name.TrimEnd((byte)0);
        return name.SequenceEqual("cubic"u8) || name.SequenceEqual("reno"u8);
    }
}
