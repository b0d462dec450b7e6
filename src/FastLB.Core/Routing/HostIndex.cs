using System.Buffers.Binary;
using System.Text;

namespace FastLB.Core.Routing;

/// <summary>The rules of one host name, or of all names below one, and who is asked besides.</summary>
/// <param name="Paths">Its rules by path.</param>
/// <param name="LessSpecific">The rules for more names than these that hold for these as well; null: there are none.</param>
internal sealed record HostRules(PathTrie Paths, HostRules? LessSpecific);

/// <summary>
/// Finds the rules of a host: first by the whole name, then by what stands behind each of its dots, the longest first. Every host condition
/// that holds for a name is then in one chain. Open addressing with linear probing, at most half full; immutable.
/// </summary>
internal sealed class HostIndex
{
    private readonly Entry[] _entries;
    private readonly ulong _mask;
    private readonly int _longestSuffix;
    private readonly bool _isEmpty;
    private readonly HostRules _anyHost;

    /// <param name="rules">Each exact name or <c>*.</c> name once, with the rules written for just that; the names have no dot at their end.</param>
    /// <param name="anyHost">The rules without a host.</param>
    public HostIndex(IEnumerable<(string Host, PathTrie Paths)> rules, PathTrie anyHost)
    {
        var all = rules.ToArray();
        _anyHost = new HostRules(anyHost, null);
        _isEmpty = all.Length == 0;
        var size = 4;
        while (size < all.Length * 2)
        {
            size *= 2;
        }

        _entries = new Entry[size];
        _mask = (ulong)size - 1;

        // Shorter suffixes first, so that each name finds those that hold for it as well.
        foreach (var (host, paths) in all.Where(r => r.Host.StartsWith('*')).OrderBy(r => r.Host.Length))
        {
            var suffix = Encoding.ASCII.GetBytes(host.ToLowerInvariant()[1..]);
            Put(suffix, new HostRules(paths, FindSuffix(suffix)));
            _longestSuffix = suffix.Length;
        }

        foreach (var (host, paths) in all.Where(r => !r.Host.StartsWith('*')))
        {
            var name = Encoding.ASCII.GetBytes(host.ToLowerInvariant());
            Put(name, new HostRules(paths, FindSuffix(name)));
        }
    }

    /// <param name="host">Without its port; a dot at its end and case do not count.</param>
    public HostRules Find(ReadOnlySpan<byte> host)
    {
        if (_isEmpty || host.IsEmpty)
        {
            return _anyHost;
        }

        host = host[^1] == '.' ? host[..^1] : host;
        return Lookup(host) ?? (_longestSuffix > 0 ? FindSuffix(host) : _anyHost);
    }

    /// <summary>By the longest suffix from a dot on that is not the whole name. Suffixes longer than any here are not looked at.</summary>
    private HostRules FindSuffix(ReadOnlySpan<byte> host)
    {
        for (var start = Math.Max(1, host.Length - _longestSuffix); start < host.Length; start++)
        {
            var dot = host[start..].IndexOf((byte)'.');
            if (dot < 0)
            {
                break;
            }

            start += dot;
            if (Lookup(host[start..]) is { } found)
            {
                return found;
            }
        }

        return _anyHost;
    }

    private HostRules? Lookup(ReadOnlySpan<byte> name)
    {
        for (var at = HashOf(name) & _mask; _entries[at].Rules is not null; at = (at + 1) & _mask)
        {
            if (Ascii.EqualsIgnoreCase(_entries[at].Name, name))
            {
                return _entries[at].Rules;
            }
        }

        return null;
    }

    private void Put(byte[] name, HostRules rules)
    {
        var at = HashOf(name) & _mask;
        while (_entries[at].Rules is not null)
        {
            at = (at + 1) & _mask;
        }

        _entries[at] = new Entry(name, rules);
    }

    /// <summary>Eight bytes at a time, with the bit set that tells upper case from lower case. Only the configuration fills the table, so nobody can make names collide on purpose.</summary>
    private static ulong HashOf(ReadOnlySpan<byte> name)
    {
        const ulong Case = 0x2020_2020_2020_2020;
        const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;
        var hash = (ulong)name.Length;
        while (name.Length >= 8)
        {
            hash = (hash ^ (BinaryPrimitives.ReadUInt64LittleEndian(name) | Case)) * Multiplier;
            hash ^= hash >> 29;
            name = name[8..];
        }

        foreach (var value in name)
        {
            hash = (hash ^ (value | 0x20UL)) * Multiplier;
        }

        return hash ^ (hash >> 32);
    }

    private readonly record struct Entry(byte[] Name, HostRules? Rules);
}
