using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace FastLB.Configuration;

/// <summary>
/// Which networks are in which country, from a database of MaxMind's or one in its format (MaxMind DB File Format Specification 2.0). It is read once, when the
/// configuration is, and its networks become part of the zones, so nothing of it is on a request's way and no library is needed. A file may say anything:
/// every offset is checked, nesting is bounded, and what is not as specified is a <see cref="InvalidDataException"/> with a sentence.
/// </summary>
internal sealed class GeoDatabase
{
    public const long MaxBytes = 1024L * 1024 * 1024;

    private const int MaxNesting = 16;
    private const int MetadataReach = 128 * 1024;
    private const int DataGap = 16;

    private static readonly byte[] Marker = [0xAB, 0xCD, 0xEF, .. "MaxMind.com"u8];

    private readonly byte[] _file;
    private readonly int _treeEnd;
    private readonly uint _nodes;
    private readonly int _recordBits;
    private readonly bool _isIPv6;
    private readonly Dictionary<uint, GeoPlace> _places = [];

    private GeoDatabase(byte[] file)
    {
        _file = file;
        var reach = Math.Max(0, file.Length - MetadataReach);
        var marker = file.AsSpan(reach).LastIndexOf(Marker);
        if (marker < 0)
        {
            throw new InvalidDataException("it is not a MaxMind database");
        }

        var metadata = new Values(file.AsSpan(reach + marker + Marker.Length)).ReadMap(0, ["node_count"], ["record_size"], ["ip_version"]);
        (_nodes, _recordBits, var version) = ((uint)Number(metadata[0]), (int)Number(metadata[1]), Number(metadata[2]));
        _isIPv6 = version == 6;
        var treeBytes = (long)_nodes * _recordBits / 4;
        if (_recordBits is not (24 or 28 or 32) || version is not (4 or 6) || treeBytes + DataGap > file.Length)
        {
            throw new InvalidDataException("its search tree is not as the format says");
        }

        _treeEnd = (int)treeBytes;
    }

    /// <exception cref="InvalidDataException">It is not a database as specified.</exception>
    public static GeoDatabase Read(byte[] file) => new(file);

    /// <summary>Every network of the database with its place. Networks do not overlap.</summary>
    public IEnumerable<(IPNetwork Network, GeoPlace Place)> Networks()
    {
        // IPv4 addresses stand in the tree of IPv6 at ::/96; other entries that lead to the same node are aliases of them (6to4 and the like).
        var root4 = 0u;
        for (var depth = 0; _isIPv6 && depth < 96 && root4 < _nodes; depth++)
        {
            root4 = RecordOf(root4, 0);
        }

        var waiting = new Stack<(uint Node, int Depth, UInt128 Bits, bool IsIPv4)>();
        waiting.Push((root4, 0, 0, true));
        if (_isIPv6)
        {
            waiting.Push((0, 0, 0, false));
        }

        for (var visits = 0L; waiting.TryPop(out var at); visits++)
        {
            // Each node has one way to it. A tree that shares nodes could have more leaves than a file has bytes.
            if (visits > (4L * _nodes) + 4)
            {
                throw new InvalidDataException("its search tree is no tree");
            }

            var width = at.IsIPv4 ? 32 : 128;
            if (at.Node < _nodes)
            {
                if (at.Depth == width)
                {
                    throw new InvalidDataException("its search tree is deeper than an address is long");
                }

                for (var bit = 1u; bit <= 1; bit--)
                {
                    var next = RecordOf(at.Node, bit);
                    if (at.IsIPv4 || next != root4 || next >= _nodes)
                    {
                        waiting.Push((next, at.Depth + 1, at.Bits | ((UInt128)bit << (width - 1 - at.Depth)), at.IsIPv4));
                    }
                }
            }
            else if (at.Node > _nodes && PlaceAt(at.Node) is { } place)
            {
                yield return (NetworkOf(at.Bits, at.Depth, at.IsIPv4), place);
            }
        }
    }

    private static IPNetwork NetworkOf(UInt128 bits, int length, bool isIPv4)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (isIPv4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)bits);
            return new IPNetwork(new IPAddress(bytes[..4]), length);
        }

        BinaryPrimitives.WriteUInt128BigEndian(bytes, bits);
        return new IPNetwork(new IPAddress(bytes), length);
    }

    private uint RecordOf(uint node, uint bit)
    {
        var start = (int)(node * (long)_recordBits / 4);
        var record = _file.AsSpan(start, _recordBits / 4);
        return _recordBits switch
        {
            24 => ((uint)record[(int)bit * 3] << 16) | BinaryPrimitives.ReadUInt16BigEndian(record[(((int)bit * 3) + 1)..]),
            28 when bit == 0 => ((uint)(record[3] & 0xF0) << 20) | ((uint)record[0] << 16) | BinaryPrimitives.ReadUInt16BigEndian(record[1..]),
            28 => ((uint)(record[3] & 0x0F) << 24) | ((uint)record[4] << 16) | BinaryPrimitives.ReadUInt16BigEndian(record[5..]),
            _ => BinaryPrimitives.ReadUInt32BigEndian(record[((int)bit * 4)..]),
        };
    }

    private GeoPlace? PlaceAt(uint record)
    {
        if (!_places.TryGetValue(record, out var place))
        {
            var offset = record - _nodes - DataGap;
            var found = new Values(_file.AsSpan(_treeEnd + DataGap)).ReadMap((int)Math.Min(offset, int.MaxValue), ["country", "iso_code"], ["continent", "code"]);
            place = new GeoPlace(found[0] as string ?? "", found[1] as string ?? "");
            _places.Add(record, place);
        }

        return place.Country.Length + place.Continent.Length > 0 ? place : null;
    }

    private static ulong Number(object? value) => value is ulong number and <= uint.MaxValue ? number : throw new InvalidDataException("its metadata lacks a number");

    /// <summary>Values of the data section, of which only those at some paths are kept.</summary>
    private readonly ref struct Values(ReadOnlySpan<byte> section)
    {
        private const int Pointer = 1;
        private const int Text = 2;
        private const int Double = 3;
        private const int Map = 7;
        private const int Array = 11;
        private const int Boolean = 14;

        private readonly ReadOnlySpan<byte> _section = section;

        /// <summary>The texts and numbers that stand at these paths of keys in the map at <paramref name="offset"/>; null where there is none.</summary>
        public object?[] ReadMap(int offset, params ReadOnlySpan<string[]> paths)
        {
            var found = new object?[paths.Length];
            for (var i = 0; i < paths.Length; i++)
            {
                found[i] = Find(offset, paths[i]);
            }

            return found;
        }

        private object? Find(int offset, ReadOnlySpan<string> path)
        {
            var at = Resolve(offset);
            var (type, size) = Control(ref at);
            if (path.IsEmpty)
            {
                return type switch
                {
                    Text => Encoding.UTF8.GetString(Slice(at, size)),
                    5 or 6 or 9 => Unsigned(Slice(at, size)),
                    _ => null,
                };
            }

            for (var i = 0; type == Map && i < size; i++)
            {
                var keyAt = Resolve(at);
                var (keyType, keySize) = Control(ref keyAt);
                if (keyType != Text)
                {
                    throw new InvalidDataException("a key of its data is no text");
                }

                var isIt = Slice(keyAt, keySize).SequenceEqual(Encoding.UTF8.GetBytes(path[0]));
                at = Skip(at, 0);
                if (isIt)
                {
                    return Find(at, path[1..]);
                }

                at = Skip(at, 0);
            }

            return null;
        }

        /// <summary>Where a value stands that may be a pointer to it. Pointers do not point to pointers.</summary>
        private int Resolve(int offset)
        {
            var at = offset;
            var (type, target) = Control(ref at);
            return type == Pointer ? target : offset;
        }

        /// <summary>The offset behind a value and all that is in it.</summary>
        private int Skip(int at, int nesting)
        {
            if (nesting > MaxNesting)
            {
                throw new InvalidDataException("its data is nested too deeply");
            }

            var (type, size) = Control(ref at);
            switch (type)
            {
                case Pointer or Boolean:
                    return at;
                case Map or Array:
                    for (var left = type == Map ? 2L * size : size; left > 0; left--)
                    {
                        at = Skip(at, nesting + 1);
                    }

                    return at;
                default:
                    _ = Slice(at, size);
                    return at + size;
            }
        }

        /// <summary>Type and size of the value at <paramref name="at"/>, which is behind its control bytes then. Of a pointer, the size is the target.</summary>
        private (int Type, int Size) Control(ref int at)
        {
            var control = Slice(at++, 1)[0];
            var type = control >> 5;
            if (type == Pointer)
            {
                var length = ((control >> 3) & 3) + 1;
                var low = (long)Unsigned(Slice(at, length));
                at += length;
                var target = length == 4 ? low : ((long)(control & 7) << (8 * length)) + low + (length == 2 ? 2048 : length == 3 ? 526336 : 0);
                return target < _section.Length ? (Pointer, (int)target) : throw Outside();
            }

            if (type == 0)
            {
                type = Slice(at++, 1)[0] + 7;
            }

            var size = control & 31;
            if (size >= 29)
            {
                var length = size - 28;
                size = (int)Unsigned(Slice(at, length)) + (length == 1 ? 29 : length == 2 ? 285 : 65821);
                at += length;
            }

            return (type, type == Double ? 8 : size);
        }

        private ReadOnlySpan<byte> Slice(int start, int length) =>
            start >= 0 && length >= 0 && length <= _section.Length - start ? _section.Slice(start, length) : throw Outside();

        private static ulong Unsigned(ReadOnlySpan<byte> bytes)
        {
            var number = 0UL;
            foreach (var one in bytes)
            {
                number = (number << 8) | one;
            }

            return number;
        }

        private static InvalidDataException Outside() => new("something in it points outside of it");
    }
}

/// <summary>Where a network is: ISO 3166-1 code of the country and MaxMind's code of the continent; empty where unknown.</summary>
internal readonly record struct GeoPlace(string Country, string Continent);
