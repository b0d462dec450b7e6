using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>A listener's address as PROXY headers name the destination. One that listens on all addresses does not know which one was meant, and says so.</summary>
internal static class ListenerAddress
{
    public static ClientAddress Of(Endpoint bind)
    {
        if (bind.IsUnix)
        {
            return default;
        }

        Span<byte> bytes = stackalloc byte[16];
        bind.Address.MapToIPv6().TryWriteBytes(bytes, out _);
        return new ClientAddress(bytes, (ushort)bind.Port);
    }
}
