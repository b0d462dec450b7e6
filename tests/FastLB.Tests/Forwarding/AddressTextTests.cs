using System.Net;
using System.Text;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Forwarding;

/// <summary>Addresses as other proxies write them. The runtime's own reader and writer are the reference.</summary>
public sealed class AddressTextTests
{
    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1", 0)]
    [InlineData("192.0.2.1:8080", "192.0.2.1", 8080)]
    [InlineData("2001:db8::1", "2001:db8::1", 0)]
    [InlineData("[2001:db8::1]", "2001:db8::1", 0)]
    [InlineData("[2001:DB8::1]:443", "2001:db8::1", 443)]
    [InlineData("::1", "::1", 0)]
    [InlineData("2001:db8::", "2001:db8::", 0)]
    [InlineData("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", 0)]
    [InlineData("64:ff9b::192.0.2.33", "64:ff9b::192.0.2.33", 0)]
    [InlineData("::ffff:192.0.2.1", "::ffff:192.0.2.1", 0)]
    public void An_address_is_read_with_its_port(string text, string address, int port)
    {
        Assert.True(Read(text, out var read));
        Assert.Equal(new ClientAddress(IPAddress.Parse(address).MapToIPv6().GetAddressBytes(), (ushort)port), read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("unknown")]
    [InlineData("_hidden")]
    [InlineData("localhost")]
    [InlineData("1.2.3")]
    [InlineData("1.2.3.4.5")]
    [InlineData("1.2.3.256")]
    [InlineData("01.2.3.4")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("1.2.3.4:")]
    [InlineData("1.2.3.4:65536")]
    [InlineData("1.2.3.4:080")]
    [InlineData("1.2.3.4 ")]
    [InlineData("::")]
    [InlineData("[::]")]
    [InlineData("0.0.0.0")]
    [InlineData("0.0.0.0:80")]
    [InlineData("[::ffff:0.0.0.0]:80")]
    [InlineData(":::1")]
    [InlineData("1::2::3")]
    [InlineData("1:2:3:4:5:6:7")]
    [InlineData("1:2:3:4:5:6:7:8:9")]
    [InlineData("1:2:3:4:5:6:7::8")]
    [InlineData("1:2:3:4:5:6:7:")]
    [InlineData("12345::1")]
    [InlineData("::1%eth0")]
    [InlineData("[::1")]
    [InlineData("[::1]x")]
    [InlineData("[1.2.3.4]")]
    [InlineData("1:2:3:4:5:6:7:1.2.3.4")]
    [InlineData("::1.2.3")]
    public void What_is_no_address_or_could_be_two_is_not_read(string text) => Assert.False(Read(text, out _));

    [Fact]
    public void Every_address_that_the_runtime_writes_is_read_back()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>().Generator.Where(b => b is { Length: >= 16 }).ToArbitrary(), bytes =>
        {
            // Zeros are what makes the writing differ.
            var address = bytes.Take(16).Select((b, i) => bytes[i / 2] % 2 == 0 ? (byte)0 : b).ToArray();
            var ip = new IPAddress(address);
            return new ClientAddress(address, 0).IsNone || (Read(ip.ToString(), out var read) && read.Equals(new ClientAddress(address, 0)));
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void What_is_read_the_runtime_reads_alike()
    {
        var letters = Gen.Elements("0123456789abcdefF:.[]%x ".ToCharArray());
        Prop.ForAll(letters.ArrayOf().ToArbitrary(), text =>
        {
            var node = new string(text);
            return !node.Contains(':', StringComparison.Ordinal) || node.Contains('.', StringComparison.Ordinal) || node.Contains('[', StringComparison.Ordinal)
                || !Read(node, out var read) || (IPAddress.TryParse(node, out var ip) && read.Equals(new ClientAddress(ip.MapToIPv6().GetAddressBytes(), 0)));
        }).QuickCheckThrowOnFailure();
    }

    private static bool Read(string text, out ClientAddress address) => AddressText.TryReadNode(Encoding.UTF8.GetBytes(text), out address);
}
