using System.Net;
using FastLB.Core.Balancing;

namespace FastLB.Configuration;

/// <summary>Reads <c>zones</c>: names, each with the networks whose clients are there (<c>eu: [10.1.0.0/16, 2001:db8::/32]</c>).</summary>
internal static class ZonesReader
{
    public const int MaxZones = 256;
    public const int MaxNetworks = 65_536;

    public static ZoneTable Read(Section top, Mistakes mistakes)
    {
        if (top.Find("zones") is not { } node)
        {
            return ZoneTable.Empty;
        }

        if (node is not MappingNode { Entries.Count: > 0 } mapping)
        {
            mistakes.Error(node, $"zones: expected a name for each zone, with its networks, like zones: {{ eu: [10.1.0.0/16] }}; found {(node is MappingNode ? "nothing" : node.Kind)}");
            return ZoneTable.Empty;
        }

        if (mapping.Entries.Count > MaxZones)
        {
            mistakes.Error(node, $"zones: {mapping.Entries.Count} zones; at most {MaxZones} are allowed");
            return ZoneTable.Empty;
        }

        var zones = new List<(string Zone, IReadOnlyList<IPNetwork> Networks)>();
        var owners = new Dictionary<IPNetwork, ScalarNode>();
        var names = Section.Open(mapping, "zones", [.. mapping.Entries.Select(e => e.Key.Text)], mistakes)!;
        foreach (var (name, _) in mapping.Entries)
        {
            if (!PoolReader.IsName(name.Text))
            {
                mistakes.Error(name, $"'{name.Text}' is not a zone name; letters, digits, '-', '_' and '.' are allowed");
            }

            var networks = new List<IPNetwork>();
            foreach (var item in names.List(name.Text, "networks like 10.1.0.0/16", MaxNetworks))
            {
                if (names.TextOf(item, name.Text, "a network like 10.1.0.0/16") is not { } text)
                {
                    continue;
                }

                if (!TryParse(text.Text, out var network, out var problem))
                {
                    mistakes.Error(text, $"{name.Text}: {problem}");
                }
                else if (!owners.TryAdd(network, text))
                {
                    mistakes.Error(text, $"{name.Text}: {network} stands in line {owners[network].Line} already");
                }
                else
                {
                    networks.Add(network);
                }
            }

            zones.Add((name.Text, networks));
        }

        return ZoneTable.Create(zones);
    }

    private static bool TryParse(string text, out IPNetwork network, out string problem)
    {
        problem = "";
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (IPNetwork.TryParse(text, out network) && slash > 0 && IPAddress.TryParse(text[..slash], out var start) && start.Equals(network.BaseAddress))
        {
            return true;
        }

        if (IPAddress.TryParse(slash < 0 ? text : text[..slash], out var address) && slash < 0)
        {
            network = new IPNetwork(address, address.GetAddressBytes().Length * 8);
            return true;
        }

        problem = address is not null && int.TryParse(text[(slash + 1)..], out var bits) && bits >= 0 && bits <= address.GetAddressBytes().Length * 8
            ? $"'{text}' has bits behind its prefix; write {Masked(address, bits)}/{bits}"
            : $"'{text}' is not a network; write one like 10.1.0.0/16 or 2001:db8::/32";
        return false;
    }

    private static IPAddress Masked(IPAddress address, int bits)
    {
        var bytes = address.GetAddressBytes();
        for (var i = 0; i < bytes.Length; i++)
        {
            var kept = Math.Clamp(bits - (i * 8), 0, 8);
            bytes[i] &= (byte)(0xFF << (8 - kept));
        }

        return new IPAddress(bytes);
    }
}
