using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Linux;

namespace FastLB;

/// <summary>
/// What moves the bytes of TCP connections, decided once at the start: sockmap is probed by loading its program into every loop's own
/// tables. Immutable afterwards.
/// </summary>
internal sealed class TcpAcceleration
{
    private readonly string? _obstacle;

    /// <summary>Before the loops' first turns, and only when a pool asks for sockmap.</summary>
    public TcpAcceleration(IEnumerable<Pool> pools, IEnumerable<KernelLoop> loops)
    {
        if (!pools.Any(p => p.Settings.Acceleration == Acceleration.Sockmap))
        {
            return;
        }

        foreach (var loop in loops)
        {
            var result = loop.EnableJoining(out var step);
            if (result < 0)
            {
                _obstacle = $"{step} failed: {SystemError.Describe(-result)}; it takes CAP_BPF and CAP_NET_ADMIN, and a container that allows bpf(2)";
                return;
            }
        }
    }

    /// <summary>What is used for a pool, and why, for people: <c>splice (auto: ...)</c>.</summary>
    public string Describe(Acceleration wanted) => wanted switch
    {
        Acceleration.Auto => "splice (auto: sockmap would hold what a slow side does not take in memory without a bound)",
        Acceleration.Sockmap when _obstacle is not null => $"splice (no sockmap here: {_obstacle})",
        Acceleration.Sockmap => "sockmap (configured)",
        Acceleration.Splice => "splice (configured)",
        _ => "copy (configured)",
    };
}
