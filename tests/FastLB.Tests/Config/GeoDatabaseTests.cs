using System.Net;
using System.Text;
using FastLB.Configuration;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary>Databases in MaxMind's format, written here as the specification says, are read back; damaged ones are refused and never worse.</summary>
public sealed class GeoDatabaseTests
{
    private static readonly (string Network, string Country, string Continent)[] s_networks =
    [
        ("192.0.2.0/24", "DE", "EU"),
        ("198.51.100.0/25", "US", "NA"),
        ("198.51.100.128/25", "GB", "EU"),
        ("203.0.113.7/32", "DE", "EU"),
    ];

    private static readonly (string Network, string Country, string Continent)[] s_both = [.. s_networks, ("2001:db8::/32", "US", "NA"), ("2001:db9::/48", "DE", "EU")];

    [Theory]
    [InlineData(24, 4)]
    [InlineData(28, 4)]
    [InlineData(32, 4)]
    [InlineData(24, 6)]
    [InlineData(28, 6)]
    [InlineData(32, 6)]
    public void What_was_written_is_read(int recordBits, int version)
    {
        var networks = version == 4 ? s_networks : s_both;

        var read = GeoDatabase.Read(Write(networks, recordBits, version)).Networks();

        Assert.Equal(
            networks.Select(n => (IPNetwork.Parse(n.Network), new GeoPlace(n.Country, n.Continent))).OrderBy(n => n.Item1.ToString()),
            read.OrderBy(n => n.Network.ToString()));
    }

    [Fact]
    public void A_damaged_database_is_refused_or_read_and_nothing_worse()
    {
        var right = Write(s_both, 28, 6);
        var chance = new RandomSource(7);
        var refused = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var damaged = (byte[])right.Clone();
            for (var n = 1 + chance.Next(4); n > 0; n--)
            {
                damaged[chance.Next(damaged.Length)] = (byte)chance.Next(256);
            }

            if (chance.Chance(0.2))
            {
                damaged = damaged[..chance.Next(damaged.Length)];
            }

            try
            {
                _ = GeoDatabase.Read(damaged).Networks().Count();
            }
            catch (InvalidDataException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1, 19_999);
    }

    [Fact]
    public void Clients_are_in_the_zone_of_their_country_or_continent_unless_a_network_says_otherwise()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-tests-");
        File.WriteAllBytes(Path.Combine(directory.FullName, "geo.mmdb"), Write(s_both, 24, 6));
        const string Text =
            """
            geo: geo.mmdb
            zones: { islands: ["country:GB"], europe: ["continent:EU", 198.51.100.0/26], mars: ["country:XX"] }
            listeners: [{ bind: 127.0.0.1:8000, pool: app }]
            pools: { app: { strategy: zone, workers: [{ address: 127.0.0.1:1, zone: europe }, 127.0.0.1:2] } }
            """;

        var result = ConfigurationFile.Parse(Text, "fastlb.yaml", directory.FullName);
        var damaged = ConfigurationFile.Parse(Text.Replace("geo.mmdb", "fastlb.sln", StringComparison.Ordinal), "fastlb.yaml", directory.FullName);
        var without = ConfigurationFile.Parse(Text.Replace("geo: geo.mmdb", "loops: 1", StringComparison.Ordinal), "fastlb.yaml", directory.FullName);
        directory.Delete(recursive: true);

        Assert.Empty(result.Errors);
        Assert.Equal(["fastlb.yaml:2:85: the database has no network of country:XX"], result.Warnings.Select(w => w.ToString()));
        var zones = result.Settings!.Pools[0].Zones;
        Assert.Equal(
            ["europe", "islands", "europe", "europe", null],
            ((string[])["192.0.2.200", "198.51.100.200", "198.51.100.3", "2001:db9::1", "8.8.8.8"]).Select(a => NameOf(zones, a)));
        Assert.StartsWith("fastlb.yaml:1:6: geo: ", Assert.Single(damaged.Errors).ToString(), StringComparison.Ordinal);
        Assert.Contains(without.Errors, e => e.ToString().Contains("'country:GB' needs a database", StringComparison.Ordinal));
    }

    private static string? NameOf(ZoneTable zones, string address)
    {
        var zone = zones.ZoneOf(new ClientAddress(IPAddress.Parse(address).MapToIPv6().GetAddressBytes(), 1));
        return zone < 0 ? null : zones.Names[zone];
    }

    /// <summary>A database of these networks: the search tree, the data with each country once, and the metadata.</summary>
    private static byte[] Write((string Network, string Country, string Continent)[] networks, int recordBits, int version)
    {
        var data = new List<byte>();
        var offsets = new Dictionary<string, int>();
        var continents = new Dictionary<string, int>();
        var tree = new List<long[]> { new long[] { -1, -1 } };
        foreach (var (text, country, continent) in networks)
        {
            if (!offsets.TryGetValue(country, out var offset))
            {
                offset = offsets[country] = data.Count;

                // What was written before is pointed to, as real databases do.
                var value = continents.TryGetValue(continent, out var before)
                    ? [(byte)(0x20 | (before >> 8)), (byte)before]
                    : Map(("code", Text(continent)), ("names", Map(("en", Text(new string('x', 300))))));
                continents.TryAdd(continent, data.Count + 1 + Text("continent").Length);
                data.AddRange(Map(("continent", value), ("country", Map(("iso_code", Text(country)), ("geoname_id", [0xC2, 1, 2])))));
            }

            var network = IPNetwork.Parse(text);
            var isIPv4 = network.BaseAddress.GetAddressBytes().Length == 4;
            byte[] bytes = isIPv4 && version == 6 ? [.. new byte[12], .. network.BaseAddress.GetAddressBytes()] : network.BaseAddress.GetAddressBytes();
            var length = network.PrefixLength + (isIPv4 && version == 6 ? 96 : 0);
            var node = 0;
            for (var depth = 0; depth < length; depth++)
            {
                var bit = (bytes[depth / 8] >> (7 - (depth % 8))) & 1;
                if (depth == length - 1)
                {
                    // Data is told from nodes when all nodes are known.
                    tree[node][bit] = -2 - offset;
                }
                else
                {
                    if (tree[node][bit] < 0)
                    {
                        tree[node][bit] = tree.Count;
                        tree.Add([-1, -1]);
                    }

                    node = (int)tree[node][bit];
                }
            }
        }

        var file = new List<byte>();
        foreach (var records in tree)
        {
            var (left, right) = (Record(records[0], tree.Count), Record(records[1], tree.Count));
            file.AddRange(recordBits switch
            {
                24 => [(byte)(left >> 16), (byte)(left >> 8), (byte)left, (byte)(right >> 16), (byte)(right >> 8), (byte)right],
                28 => [(byte)(left >> 16), (byte)(left >> 8), (byte)left, (byte)(((left >> 24) << 4) | (right >> 24)), (byte)(right >> 16), (byte)(right >> 8), (byte)right],
                _ => (byte[])[(byte)(left >> 24), (byte)(left >> 16), (byte)(left >> 8), (byte)left, (byte)(right >> 24), (byte)(right >> 16), (byte)(right >> 8), (byte)right],
            });
        }

        file.AddRange(new byte[16]);
        file.AddRange(data);
        file.AddRange([0xAB, 0xCD, 0xEF, .. "MaxMind.com"u8]);
        file.AddRange(Map(
            ("node_count", [0xC4, (byte)(tree.Count >> 24), (byte)(tree.Count >> 16), (byte)(tree.Count >> 8), (byte)tree.Count]),
            ("record_size", [0xA1, (byte)recordBits]),
            ("ip_version", [0xA1, (byte)version])));
        return [.. file];
    }

    private static uint Record(long value, int nodes) => value >= 0 ? (uint)value : value == -1 ? (uint)nodes : (uint)(nodes + 16 + (-2 - value));

    private static byte[] Text(string text) => text.Length < 29
        ? [(byte)(0x40 | text.Length), .. Encoding.UTF8.GetBytes(text)]
        : [0x40 | 30, (byte)((text.Length - 285) >> 8), (byte)(text.Length - 285), .. Encoding.UTF8.GetBytes(text)];

    private static byte[] Map(params (string Key, byte[] Value)[] entries) =>
        [(byte)(0xE0 | entries.Length), .. entries.SelectMany(e => (byte[])[.. Text(e.Key), .. e.Value])];
}
