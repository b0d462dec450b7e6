using System.Net;
using System.Net.Sockets;
using System.Text;
using FastLB.Core.Loop;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Loop;

public class AddressTests
{
    [Fact]
    public void Every_IPv4_address_is_written_as_the_framework_writes_it() => Prop.ForAll<uint, ushort>((address, port) =>
    {
        var client = new ClientAddress(address, port);
        var expected = new IPAddress([(byte)(address >> 24), (byte)(address >> 16), (byte)(address >> 8), (byte)address]);
        Assert.Equal(expected.ToString(), Text(client));
        Assert.Equal(expected, client.ToIPAddress());
        Assert.True(client.IsIPv4);
        Assert.Equal(client, new ClientAddress(expected.MapToIPv6().GetAddressBytes(), port));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Every_IPv6_address_is_written_as_the_framework_writes_it() => Prop.ForAll<ulong, ulong, ushort>((high, low, port) =>
    {
        byte[] bytes = [.. BitConverter.GetBytes(high), .. BitConverter.GetBytes(low)];
        var expected = new IPAddress(bytes);
        if (expected.IsIPv4MappedToIPv6 || (high == 0 && low == 0))
        {
            return;
        }

        var client = new ClientAddress(bytes, port);
        Assert.Equal(expected.ToString(), Text(client));
        Assert.Equal(new IPEndPoint(expected, port).ToString(), client.ToString());
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_destination_that_is_too_small_is_told_at_every_length()
    {
        var client = new ClientAddress(0xC0A80164, 1);
        var whole = Text(client);
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.False(client.TryFormat(new byte[length], out _));
        }

        Assert.True(client.TryFormat(new byte[whole.Length], out var written));
        Assert.Equal(whole.Length, written);
    }

    [Fact]
    public void The_peer_of_a_unix_socket_is_this_machine() => Assert.Equal("127.0.0.1", Text(default));

    [Fact]
    public void What_an_endpoint_writes_it_reads_again() => Prop.ForAll<uint, ulong, ushort>((four, six, port) =>
    {
        Endpoint[] endpoints =
        [
            Endpoint.Ip(new IPAddress(four), port),
            Endpoint.Ip(new IPAddress([.. BitConverter.GetBytes(six), .. BitConverter.GetBytes(~six)]), port),
            Endpoint.Unix($"/run/{four}.sock"),
        ];
        foreach (var endpoint in endpoints)
        {
            Assert.True(Endpoint.TryParse(endpoint.ToString(), out var read, out var problem), problem);
            Assert.Equal(endpoint, read);
            Assert.Equal(endpoint.GetHashCode(), read.GetHashCode());
        }
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("127.0.0.1:8000", AddressFamily.InterNetwork, 8000)]
    [InlineData("localhost:0", AddressFamily.InterNetwork, 0)]
    [InlineData("[::1]:65535", AddressFamily.InterNetworkV6, 65535)]
    public void An_address_and_a_port_are_read(string text, AddressFamily family, int port)
    {
        Assert.True(Endpoint.TryParse(text, out var endpoint, out _));
        Assert.Equal(family, endpoint.Address!.AddressFamily);
        Assert.Equal(port, endpoint.Port);
    }

    [Theory]
    [InlineData("127.0.0.1", "port is missing")]
    [InlineData("127.0.0.1:", "not a port")]
    [InlineData("127.0.0.1:65536", "not a port")]
    [InlineData("127.0.0.1:-1", "not a port")]
    [InlineData("127.0.0.1: 80", "not a port")]
    [InlineData("::1:80", "brackets")]
    [InlineData("1:80", "not an IP address")]
    [InlineData("0x7f.1:80", "not an IP address")]
    [InlineData("example.com:80", "not an IP address")]
    [InlineData("[::1:80", "brackets")]
    [InlineData("[:80", "not an IP address")]
    [InlineData("[]:80", "not an IP address")]
    [InlineData("[127.0.0.1]:80", "not an IP address")]
    [InlineData("[localhost]:80", "not an IP address")]
    [InlineData("]127.0.0.1[:80", "not an IP address")]
    [InlineData(":80", "not an IP address")]
    [InlineData("unix:", "absolute path")]
    [InlineData("unix:app.sock", "absolute path")]
    public void What_is_no_endpoint_is_refused_with_the_reason(string text, string reason)
    {
        Assert.False(Endpoint.TryParse(text, out _, out var problem));
        Assert.Contains(reason, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_unix_path_may_fill_the_kernels_room_and_no_more()
    {
        var longest = "/" + new string('a', Endpoint.MaxUnixPathBytes - 1);
        Assert.True(Endpoint.TryParse($"unix:{longest}", out _, out _));
        Assert.False(Endpoint.TryParse($"unix:{longest}a", out _, out _));
        Assert.False(Endpoint.TryParse($"unix:{longest[..^1]}ä", out _, out _));
    }

    private static string Text(ClientAddress address)
    {
        Span<byte> text = stackalloc byte[ClientAddress.MaxTextLength];
        Assert.True(address.TryFormat(text, out var written));
        return Encoding.ASCII.GetString(text[..written]);
    }
}
