using System.Buffers.Binary;

namespace FastLB.Core.Http;

/// <summary>Close frames that the balancer puts in (RFC 6455 5.5.1), with a code that says why (7.4.1).</summary>
internal static class WebSocketClose
{
    /// <summary>The endpoint goes away.</summary>
    internal const ushort GoingAway = 1001;

    /// <summary>The service restarts; whoever comes back at once is served (registered with IANA).</summary>
    internal const ushort ServiceRestart = 1012;

    internal const int MaxBytes = 8;

    /// <summary>Of the frame towards a client.</summary>
    internal const int ClientBytes = 4;

    /// <summary>Writes the frame of a server. How many bytes it has.</summary>
    internal static int Write(ushort code, Span<byte> target)
    {
        target[0] = 0x88;
        target[1] = 2;
        BinaryPrimitives.WriteUInt16BigEndian(target[2..], code);
        return ClientBytes;
    }

    /// <summary>Writes the frame of a client, which masks it (5.3). How many bytes it has.</summary>
    internal static int WriteMasked(ushort code, uint mask, Span<byte> target)
    {
        target[0] = 0x88;
        target[1] = 0x82;
        BinaryPrimitives.WriteUInt32BigEndian(target[2..], mask);
        BinaryPrimitives.WriteUInt16BigEndian(target[6..], (ushort)(code ^ (mask >> 16)));
        return 8;
    }
}
