using System.Buffers.Binary;
using System.Net;
using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>
/// Networks that are trusted, and perhaps peers on unix sockets. IPv4 and IPv6 are apart, so <c>::/0</c> says nothing of IPv4 peers; networks
/// within <c>::ffff:0:0/96</c> are IPv4 ones. Two sets with the same addresses are equal, however their networks were written. Immutable.
/// </summary>
public sealed class NetworkSet : IEquatable<NetworkSet>
{
    private const int MappedPrefixLength = 96;

    private readonly (UInt128 First, UInt128 Last)[] _ipv4;
    private readonly (UInt128 First, UInt128 Last)[] _ipv6;

    public NetworkSet(IEnumerable<IPNetwork> networks, bool unix = false)
    {
        HasUnix = unix;
        var all = networks.Select(RangeOf).ToArray();
        _ipv4 = Merged(all.Where(r => r.IsIPv4));
        _ipv6 = Merged(all.Where(r => !r.IsIPv4));
    }

    public static NetworkSet Empty { get; } = new([]);

    /// <summary>Every machine's own addresses, and unix sockets.</summary>
    public static NetworkSet ThisMachine { get; } = new([new IPNetwork(IPAddress.Parse("127.0.0.0"), 8), new IPNetwork(IPAddress.IPv6Loopback, 128)], unix: true);

    /// <summary>Whether peers on unix sockets belong to it.</summary>
    public bool HasUnix { get; }

    public bool IsEmpty => !HasUnix && _ipv4.Length == 0 && _ipv6.Length == 0;

    public bool Contains(in ClientAddress address)
    {
        if (address.IsNone)
        {
            return HasUnix;
        }

        var ranges = address.IsIPv4 ? _ipv4 : _ipv6;
        var value = new UInt128(address.High, address.Low);
        var low = 0;
        for (var high = ranges.Length; low < high;)
        {
            var middle = (low + high) / 2;
            if (ranges[middle].Last < value)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low < ranges.Length && ranges[low].First <= value;
    }

    public bool Equals(NetworkSet? other) =>
        other is not null && HasUnix == other.HasUnix && _ipv4.AsSpan().SequenceEqual(other._ipv4) && _ipv6.AsSpan().SequenceEqual(other._ipv6);

    public override bool Equals(object? obj) => Equals(obj as NetworkSet);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(HasUnix);
        foreach (var range in _ipv4.Concat(_ipv6))
        {
            hash.Add(range);
        }

        return hash.ToHashCode();
    }

    private static (UInt128 First, UInt128 Last, bool IsIPv4) RangeOf(IPNetwork network)
    {
        var address = network.BaseAddress;
        var isIPv4 = address.GetAddressBytes().Length == 4;
        var length = isIPv4 ? network.PrefixLength + MappedPrefixLength : network.PrefixLength;
        var first = BinaryPrimitives.ReadUInt128BigEndian(address.MapToIPv6().GetAddressBytes());
        var last = length == 128 ? first : first | (UInt128.MaxValue >> length);
        return (first, last, isIPv4 || (address.IsIPv4MappedToIPv6 && length >= MappedPrefixLength));
    }

    /// <summary>In order, without overlaps, neighbours in one.</summary>
    private static (UInt128 First, UInt128 Last)[] Merged(IEnumerable<(UInt128 First, UInt128 Last, bool IsIPv4)> ranges)
    {
        var merged = new List<(UInt128 First, UInt128 Last)>();
        foreach (var (first, last, _) in ranges.OrderBy(r => r.First))
        {
            if (merged.Count > 0 && (merged[^1].Last == UInt128.MaxValue || first <= merged[^1].Last + 1))
            {
                merged[^1] = (merged[^1].First, UInt128.Max(last, merged[^1].Last));
            }
            else
            {
                merged.Add((first, last));
            }
        }

        return [.. merged];
    }
}
