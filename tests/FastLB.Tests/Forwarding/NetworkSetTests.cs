using System.Net;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;

namespace FastLB.Tests.Forwarding;

public sealed class NetworkSetTests
{
    [Theory]
    [InlineData("10.0.0.0", true)]
    [InlineData("10.255.255.255", true)]
    [InlineData("9.255.255.255", false)]
    [InlineData("11.0.0.0", false)]
    [InlineData("192.0.2.7", true)]
    [InlineData("192.0.2.8", false)]
    [InlineData("2001:db8::1", true)]
    [InlineData("2001:db9::1", false)]
    [InlineData("::ffff:10.1.2.3", true)]
    public void An_address_belongs_to_the_networks_that_hold_it(string address, bool belongs) =>
        Assert.Equal(belongs, Set("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32").Contains(Of(address)));

    [Fact]
    public void All_of_IPv6_is_nothing_of_IPv4_and_unix_is_neither()
    {
        Assert.False(Set("::/0").Contains(Of("10.0.0.1")));
        Assert.True(Set("::/0").Contains(Of("2001:db8::1")));
        Assert.True(Set("0.0.0.0/0").Contains(Of("255.255.255.255")));
        Assert.True(Set("::ffff:10.0.0.0/104").Contains(Of("10.0.0.1")));
        Assert.False(Set("::/0", "0.0.0.0/0").Contains(default));
        Assert.True(new NetworkSet([], unix: true).Contains(default));
    }

    [Fact]
    public void Sets_with_the_same_addresses_are_equal_however_they_were_written()
    {
        Assert.Equal(Set("10.0.0.0/8"), Set("10.128.0.0/9", "10.0.0.0/9", "10.3.0.0/16"));
        Assert.Equal(Set("10.0.0.0/8").GetHashCode(), Set("10.128.0.0/9", "10.0.0.0/9").GetHashCode());
        Assert.NotEqual(Set("10.0.0.0/8"), Set("10.0.0.0/9"));
        Assert.NotEqual(NetworkSet.Empty, new NetworkSet([], unix: true));
        Assert.Equal(new ForwardingSettings { TrustedProxies = Set("10.0.0.0/8") }, new ForwardingSettings { TrustedProxies = Set("10.0.0.0/8") });
    }

    private static NetworkSet Set(params string[] networks) => new(networks.Select(n => IPNetwork.Parse(n)));

    private static ClientAddress Of(string address) => new(IPAddress.Parse(address).MapToIPv6().GetAddressBytes(), 1);
}
