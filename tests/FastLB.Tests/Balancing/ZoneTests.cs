using System.Net;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Balancing;

/// <summary>Which zone a client is in, and who serves it.</summary>
public sealed class ZoneTests
{
    [Theory]
    [InlineData("10.1.2.3", "eu")]
    [InlineData("10.1.9.1", "us")]
    [InlineData("10.1.9.255", "us")]
    [InlineData("10.1.10.0", "eu")]
    [InlineData("10.2.0.0", null)]
    [InlineData("9.255.255.255", null)]
    [InlineData("255.255.255.255", "us")]
    [InlineData("0.0.0.0", null)]
    [InlineData("2001:db8::1", "eu")]
    [InlineData("2001:db8:0:1::", "us")]
    [InlineData("2001:db8:0:1:ffff:ffff:ffff:ffff", "us")]
    [InlineData("2001:db8:0:2::", "eu")]
    [InlineData("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", null)]
    [InlineData("172.16.0.9", "eu")]
    public void The_longest_network_that_holds_a_client_names_its_zone(string client, string? zone)
    {
        var table = Table(("eu", "10.1.0.0/16, 2001:db8::/32, ::ffff:172.16.0.0/112"), ("us", "10.1.9.0/24, 2001:db8:0:1::/64, 255.255.255.255/32"));
        Assert.Equal(["eu", "us"], table.Names);
        Assert.Equal((0, 1, -1), (table.IndexOf("eu"), table.IndexOf("us"), table.IndexOf("US")));
        Assert.Equal(zone is null ? -1 : table.IndexOf(zone), table.ZoneOf(Client(client)));
    }

    [Fact]
    public void Whole_address_spaces_and_networks_that_stand_twice_have_an_answer()
    {
        var table = Table(("six", "::/0"), ("four", "0.0.0.0/0, 10.0.0.0/8"), ("late", "10.0.0.0/8"));
        Assert.Equal(1, table.ZoneOf(Client("10.0.0.1")));
        Assert.Equal(1, table.ZoneOf(Client("255.255.255.255")));
        Assert.Equal(0, table.ZoneOf(Client("2001:db8::1")));
        Assert.Equal(-1, table.ZoneOf(default));
        Assert.Equal(-1, ZoneTable.Empty.ZoneOf(Client("10.0.0.1")));
        Assert.Empty(ZoneTable.Empty.Names);
    }

    [Fact]
    public void The_ranges_say_the_same_as_asking_every_network() => Prop.ForAll(Gen.Choose(1, int.MaxValue).ToArbitrary(), seed =>
    {
        var random = new System.Random(seed);
        var networks = Enumerable.Range(0, random.Next(1, 60)).Select(_ => (Zone: random.Next(4), Network: RandomNetwork(random))).ToArray();
        string[] names = ["a", "b", "c", "d"];
        var table = ZoneTable.Create([.. names.Select((name, zone) =>
            (name, (IReadOnlyList<IPNetwork>)[.. networks.Where(n => n.Zone == zone).Select(n => n.Network)]))]);
        for (var i = 0; i < 200; i++)
        {
            var address = random.Next(2) == 0 ? RandomAddress(random) : EdgeOf(networks[random.Next(networks.Length)].Network, random);
            if (address.Equals(IPAddress.IPv6Any))
            {
                // Nobody connects from there; it stands for a peer without an address.
                continue;
            }

            var expected = networks.Where(n => n.Network.Contains(address)).OrderByDescending(n => n.Network.PrefixLength).ThenBy(n => n.Zone)
                .Select(n => n.Zone).FirstOrDefault(-1);
            Assert.True(expected == table.ZoneOf(Client(address.ToString())), $"{address} in {string.Join(", ", networks)}");
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_client_is_served_in_its_zone_or_anywhere_when_there_is_nobody()
    {
        Worker[] workers = [.. Enumerable.Range(0, 9).Select(slot => OneLoop.Worker(slot, zone: (slot % 3) - 1))];
        var (loop, strategy) = (new OneLoop(), new ZoneAware());
        for (var i = 0; i < 300; i++)
        {
            loop.NowMs += i % 3;
            Assert.Equal(i % 2, loop.Pick(strategy, workers, zone: i % 2).Zone);
        }

        foreach (var nowhere in (int[])[-1, 2, 200])
        {
            var zones = Enumerable.Range(0, 300).Select(_ => loop.Pick(strategy, workers, zone: nowhere).Zone);
            Assert.Equal(3, zones.Distinct().Count());
        }

        // Among those that are left there may be others of the zone, none of it, or one.
        Assert.Equal(8, loop.Pick(strategy, workers.AsSpan(6, 3), zone: 1).Slot);
        Assert.Equal(6, loop.Pick(strategy, workers.AsSpan(6, 1), zone: 1).Slot);
        Assert.Equal(2, loop.Pick(strategy, workers.AsSpan(1, 2), zone: 1).Slot);
    }

    [Fact]
    public void A_list_that_is_filled_anew_within_a_millisecond_leads_to_no_worker_that_is_not_in_it()
    {
        Worker[] all = [.. Enumerable.Range(0, 4).Select(slot => OneLoop.Worker(slot, zone: slot % 2))];
        Worker[] list = [all[0], all[1], all[2]];
        var (loop, strategy) = (new OneLoop(), new ZoneAware());
        Assert.Equal(1, loop.Pick(strategy, list, zone: 1).Slot);
        (list[1], list[2]) = (all[2], all[3]);
        Assert.InRange(loop.PickIndex(strategy, list, zone: 1), 0, 2);

        // From the next millisecond on it is known who is in it.
        loop.NowMs++;
        Assert.All(Enumerable.Range(0, 50), _ => Assert.Equal(3, loop.Pick(strategy, list, zone: 1).Slot));
    }

    [Fact]
    public void A_full_zone_sends_away_what_it_has_too_much_of_and_a_quiet_one_nothing()
    {
        Worker[] workers = [OneLoop.Worker(0, zone: 0), OneLoop.Worker(1, zone: 0), OneLoop.Worker(2, zone: 1), OneLoop.Worker(3, zone: 1)];
        var (loop, strategy) = (new OneLoop(), new ZoneAware());
        for (var i = 0; i < 8; i++)
        {
            var worker = loop.Pick(strategy, workers, zone: 0);
            Assert.Equal(0, worker.Zone);
            worker.Begin(0);
        }

        for (var i = 0; i < 600; i++)
        {
            loop.Pick(strategy, workers, zone: 0).Begin(0);
        }

        var (own, other) = (workers[..2].Sum(w => w.InFlight), workers[2..].Sum(w => w.InFlight));
        Assert.InRange(own, other * 1.8, (other * 2.2) + 20);
    }

    [Fact]
    public void Workers_of_a_zone_share_its_requests_by_weight()
    {
        Worker[] workers = [OneLoop.Worker(0, 1, zone: 0), OneLoop.Worker(1, 3, zone: 0), OneLoop.Worker(2, 20, zone: 1)];
        var (loop, strategy) = (new OneLoop(), new ZoneAware());
        var light = Enumerable.Range(0, 4_000).Count(_ => loop.Pick(strategy, workers, zone: 0).Slot == 0);
        Assert.InRange(light, 850, 1_150);
    }

    private static ZoneTable Table(params (string Zone, string Networks)[] zones) => ZoneTable.Create(
        [.. zones.Select(z => (z.Zone, (IReadOnlyList<IPNetwork>)[.. z.Networks.Split(", ").Select(n => IPNetwork.Parse(n))]))]);

    private static ClientAddress Client(string address) => new(IPAddress.Parse(address).MapToIPv6().GetAddressBytes(), 4711);

    /// <summary>Few different bits, so that networks nest.</summary>
    private static IPAddress RandomAddress(System.Random random)
    {
        var bytes = new byte[random.Next(2) == 0 ? 4 : 16];
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(random.Next(3) switch { 0 => 0, 1 => 255, _ => 0x20 });
        }

        return new IPAddress(bytes);
    }

    private static IPNetwork RandomNetwork(System.Random random)
    {
        var bytes = RandomAddress(random).GetAddressBytes();
        var length = random.Next((bytes.Length * 8) + 1);
        for (var bit = length; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return new IPNetwork(new IPAddress(bytes), length);
    }

    /// <summary>The first or the last address of a network, or the one next to it.</summary>
    private static IPAddress EdgeOf(IPNetwork network, System.Random random)
    {
        var bytes = network.BaseAddress.GetAddressBytes();
        var value = new System.Numerics.BigInteger(bytes, isUnsigned: true, isBigEndian: true);
        var all = System.Numerics.BigInteger.One << (bytes.Length * 8);
        var size = all >> network.PrefixLength;
        value = ((random.Next(2) == 0 ? value : value + size - 1) + random.Next(-1, 2) + all) % all;
        var edge = value.ToByteArray(isUnsigned: true, isBigEndian: true);
        return new IPAddress([.. new byte[bytes.Length - edge.Length], .. edge]);
    }
}
