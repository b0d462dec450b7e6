using System.Net;

namespace FastLB;

/// <summary>
/// Which addresses lead back to FastLB: a request that reaches it again would go round until the descriptors are used up. The configuration, the
/// operator and a reload go by the same rule.
/// </summary>
internal static class OwnListeners
{
    /// <summary>Whether who connects to <paramref name="worker"/> comes to <paramref name="listener"/>.</summary>
    public static bool Reaches(Endpoint worker, Endpoint listener)
    {
        if (worker.Equals(listener))
        {
            return true;
        }

        if (worker.Port != listener.Port || worker.Address is not { } written || listener.Address is not { } at)
        {
            return false;
        }

        var to = Destination(written);
        return to.Equals(at) || (to.AddressFamily == at.AddressFamily && IPAddress.IsLoopback(to) && (at.Equals(IPAddress.Any) || at.Equals(IPAddress.IPv6Any)));
    }

    /// <summary>Where the kernel connects to: IPv4 that is written as IPv6 is IPv4, and the address of all is this machine's own.</summary>
    private static IPAddress Destination(IPAddress written)
    {
        var to = written.IsIPv4MappedToIPv6 ? written.MapToIPv4() : written;
        return to.Equals(IPAddress.Any) ? IPAddress.Loopback
            : to.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback
            : to;
    }
}
