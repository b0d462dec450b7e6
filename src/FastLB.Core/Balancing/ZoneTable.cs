using System.Buffers.Binary;
using System.Net;
using System.Numerics;
using FastLB.Core.Loop;

namespace FastLB.Core.Balancing;

/// <summary>
/// Which zone a client is in, by the longest of the networks that hold its address. Immutable, shared by all loops. IPv4 and IPv6 are apart, so
/// <c>::/0</c> says nothing of IPv4 clients; networks within <c>::ffff:0:0/96</c> are IPv4 ones.
/// </summary>
public sealed class ZoneTable : IEquatable<ZoneTable>
{
    private const int MappedPrefixLength = 96;
    private const int HalfPrefixLength = 64;

    private readonly AddressRanges<uint> _ipv4;

    // By their first half, which is all that networks usually name and takes half the time to search; and those that name more.
    private readonly AddressRanges<ulong> _ipv6;
    private readonly AddressRanges<UInt128> _longIPv6;
    private readonly bool _hasLongIPv6;

    private ZoneTable(IReadOnlyList<string> names, IEnumerable<(IPNetwork Network, int Zone)> networks)
    {
        Names = names;
        var ipv4 = new List<(uint, uint, int)>();
        var ipv6 = new List<(ulong, ulong, int)>();
        var longIPv6 = new List<(UInt128, UInt128, int)>();
        foreach (var (network, zone) in networks)
        {
            var (address, length) = (network.BaseAddress, network.PrefixLength);
            if (address.IsIPv4MappedToIPv6 && length >= MappedPrefixLength)
            {
                address = address.MapToIPv4();
                length -= MappedPrefixLength;
            }

            var bytes = address.GetAddressBytes();
            if (bytes.Length == sizeof(uint))
            {
                var first = BinaryPrimitives.ReadUInt32BigEndian(bytes);
                ipv4.Add((first, first | (length == 32 ? 0 : uint.MaxValue >> length), zone));
            }
            else if (length <= HalfPrefixLength)
            {
                var first = BinaryPrimitives.ReadUInt64BigEndian(bytes);
                ipv6.Add((first, first | (length == HalfPrefixLength ? 0 : ulong.MaxValue >> length), zone));
            }
            else
            {
                var first = BinaryPrimitives.ReadUInt128BigEndian(bytes);
                longIPv6.Add((first, first | (length == 128 ? 0 : UInt128.MaxValue >> length), zone));
            }
        }

        _ipv4 = new AddressRanges<uint>(ipv4);
        _ipv6 = new AddressRanges<ulong>(ipv6);
        _longIPv6 = new AddressRanges<UInt128>(longIPv6);
        _hasLongIPv6 = longIPv6.Count > 0;
    }

    public static ZoneTable Empty { get; } = Create([]);

    /// <summary>The zones' names, each once; a zone's number is its place here.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Of zones and the networks whose clients are there. A network that stands in two zones belongs to the first.</summary>
    public static ZoneTable Create(IReadOnlyList<(string Zone, IReadOnlyList<IPNetwork> Networks)> zones)
    {
        var names = zones.Select(z => z.Zone).Distinct().ToArray();
        return new ZoneTable(names, zones.SelectMany(z => z.Networks.Select(n => (n, Array.IndexOf(names, z.Zone)))));
    }

    public bool Equals(ZoneTable? other) => ReferenceEquals(this, other)
        || (other is not null && Names.SequenceEqual(other.Names) && _ipv4.IsSameAs(other._ipv4) && _ipv6.IsSameAs(other._ipv6) && _longIPv6.IsSameAs(other._longIPv6));

    public override bool Equals(object? obj) => Equals(obj as ZoneTable);

    public override int GetHashCode() => Names.Count;

    /// <summary>The number of a zone, or -1.</summary>
    public int IndexOf(string name) => Names.Index().Where(n => n.Item == name).Select(n => n.Index).FirstOrDefault(-1);

    /// <summary>The number of the client's zone, or -1. Allocates nothing.</summary>
    public int ZoneOf(in ClientAddress client)
    {
        if (client.IsIPv4)
        {
            return _ipv4.ZoneOf((uint)client.Low);
        }

        if (client.IsNone)
        {
            return -1;
        }

        var zone = _hasLongIPv6 ? _longIPv6.ZoneOf(new UInt128(client.High, client.Low)) : -1;
        return zone >= 0 ? zone : _ipv6.ZoneOf(client.High);
    }

    /// <summary>Nested networks cut into ranges that do not overlap: each ends where the next begins, and the whole address space is covered.</summary>
    private readonly struct AddressRanges<T>
        where T : struct, IBinaryInteger<T>, IMinMaxValue<T>
    {
        private readonly T[] _firsts;
        private readonly int[] _zones;

        public AddressRanges(List<(T First, T Last, int Zone)> networks)
        {
            var firsts = new List<T> { T.MinValue };
            var zones = new List<int> { -1 };
            var open = new Stack<(T Last, int Zone)>();

            // Outer networks come before those that they hold, the first of two equal ones last, so the innermost open one is on top.
            var ordered = networks.Select((network, order) => (network.First, network.Last, network.Zone, Order: order))
                .OrderBy(n => n.First).ThenByDescending(n => n.Last).ThenByDescending(n => n.Order);
            foreach (var network in ordered)
            {
                CloseBefore(network.First);
                open.Push((network.Last, network.Zone));
                Begin(network.First, network.Zone);
            }

            CloseBefore(null);
            _firsts = [.. firsts];
            _zones = [.. zones];

            void CloseBefore(T? first)
            {
                while (open.TryPeek(out var inner) && (first is null || inner.Last < first))
                {
                    open.Pop();
                    if (inner.Last < T.MaxValue)
                    {
                        Begin(inner.Last + T.One, open.TryPeek(out var outer) ? outer.Zone : -1);
                    }
                }
            }

            void Begin(T first, int zone)
            {
                if (firsts[^1] == first)
                {
                    zones[^1] = zone;
                }
                else
                {
                    firsts.Add(first);
                    zones.Add(zone);
                }
            }
        }

        public bool IsSameAs(in AddressRanges<T> other) => _firsts.AsSpan().SequenceEqual(other._firsts) && _zones.AsSpan().SequenceEqual(other._zones);

        /// <summary>Halves what is left without a branch that depends on the address, since no processor foresees such.</summary>
        public int ZoneOf(T address)
        {
            var firsts = _firsts;
            var low = 0;
            for (var length = firsts.Length; length > 1;)
            {
                var half = length >> 1;
                low += half & -(firsts[low + half] <= address ? 1 : 0);
                length -= half;
            }

            return _zones[low];
        }
    }
}
