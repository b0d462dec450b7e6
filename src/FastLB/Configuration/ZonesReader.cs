using System.Net;
using FastLB.Core.Balancing;

namespace FastLB.Configuration;

/// <summary>
/// Reads <c>zones</c>: names, each with the networks whose clients are there (<c>eu: [10.1.0.0/16, 2001:db8::/32]</c>). With <c>geo: GeoLite2-Country.mmdb</c>
/// countries and continents may stand beside them (<c>eu: [continent:EU, country:GB]</c>); what is written as a network goes before these.
/// </summary>
internal static class ZonesReader
{
    public const int MaxZones = 256;
    public const int MaxNetworks = 65_536;

    public static ZoneTable Read(Section top, string baseDirectory, Mistakes mistakes)
    {
        var geo = ReadGeo(top, baseDirectory, mistakes);
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
        var places = new Dictionary<string, (int Zone, ScalarNode At)>();
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

                if (text.Text.StartsWith("country:", StringComparison.Ordinal) || text.Text.StartsWith("continent:", StringComparison.Ordinal))
                {
                    if (top.Find("geo") is null)
                    {
                        mistakes.Error(text, $"{name.Text}: '{text.Text}' needs a database that knows where networks are; name one with 'geo' at the top of the file, like geo: GeoLite2-Country.mmdb");
                    }
                    else if (!places.TryAdd(text.Text, (zones.Count, text)))
                    {
                        mistakes.Error(text, $"{name.Text}: {text.Text} stands in line {places[text.Text].At.Line} already");
                    }
                }
                else if (!TryParse(text.Text, out var network, out var problem))
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

        return geo is null || places.Count == 0 ? ZoneTable.Create(zones) : WithPlaces(zones, owners, geo, places, top, mistakes);
    }

    /// <summary>The zones with the database's networks. A country goes before its continent, and what a person has written before both.</summary>
    private static ZoneTable WithPlaces(
        List<(string Zone, IReadOnlyList<IPNetwork> Networks)> zones,
        Dictionary<IPNetwork, ScalarNode> written,
        GeoDatabase geo,
        Dictionary<string, (int Zone, ScalarNode At)> places,
        Section top,
        Mistakes mistakes)
    {
        var found = zones.ConvertAll(z => new List<IPNetwork>(z.Networks));
        var met = new HashSet<string>();
        try
        {
            foreach (var (network, place) in geo.Networks())
            {
                var country = $"country:{place.Country}";
                var key = places.ContainsKey(country) ? country : $"continent:{place.Continent}";
                if (places.TryGetValue(key, out var zone))
                {
                    met.Add(key);
                    if (!written.ContainsKey(network))
                    {
                        found[zone.Zone].Add(network);
                    }
                }
            }
        }
        catch (InvalidDataException damage)
        {
            mistakes.Error(top.Find("geo")!, $"geo: the database is damaged: {damage.Message}");
        }

        foreach (var (place, (_, at)) in places.Where(p => !met.Contains(p.Key)))
        {
            mistakes.Warning(at, $"the database has no network of {place}");
        }

        return ZoneTable.Create([.. zones.Select((zone, i) => (zone.Zone, (IReadOnlyList<IPNetwork>)found[i]))]);
    }

    private static GeoDatabase? ReadGeo(Section top, string baseDirectory, Mistakes mistakes)
    {
        if (top.Text("geo", "the path of a MaxMind database, like GeoLite2-Country.mmdb") is not { } geo)
        {
            return null;
        }

        var path = Path.Combine(baseDirectory, geo.Text);
        try
        {
            if (new FileInfo(path).Length > GeoDatabase.MaxBytes)
            {
                mistakes.Error(geo, $"geo: {path} is larger than {ByteSize.Text(GeoDatabase.MaxBytes)}");
                return null;
            }

            return GeoDatabase.Read(File.ReadAllBytes(path));
        }
        catch (InvalidDataException problem)
        {
            mistakes.Error(geo, $"geo: {path} cannot be used: {problem.Message}");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            mistakes.Error(geo, $"geo: {path} cannot be read: {failure.Message}");
        }

        return null;
    }

    /// <summary>A network, or one address. On failure a clause says what is wrong.</summary>
    internal static bool TryParse(string text, out IPNetwork network, out string problem)
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
