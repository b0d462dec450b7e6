using System.Text;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Forwarding;

/// <summary>PROXY headers of both versions: what the specification's examples say, and laws for all others.</summary>
public sealed class ProxyHeaderTests
{
    private const string Signature = "\r\n\r\n\0\r\nQUIT\n";

    private static readonly Gen<ClientAddress> s_ipv4 =
        from address in ArbMap.Default.GeneratorFor<uint>()
        from port in ArbMap.Default.GeneratorFor<ushort>()
        select new ClientAddress(address, port);

    private static readonly Gen<ClientAddress> s_ipv6 =
        from high in ArbMap.Default.GeneratorFor<ulong>()
        from low in ArbMap.Default.GeneratorFor<ulong>()
        from port in ArbMap.Default.GeneratorFor<ushort>()
        select Address(high, low | 1, port);

    private static readonly Arbitrary<(ProxyVersion Version, ClientAddress From, ClientAddress To)> s_headers =
        (from version in Gen.Elements(ProxyVersion.V1, ProxyVersion.V2)
         from @from in Gen.OneOf(s_ipv4, s_ipv6).Where(a => !a.IsUnspecified)
         from to in Gen.OneOf(s_ipv4, s_ipv6)
         select (version, @from, to)).ToArbitrary();

    public static TheoryData<string, string, string, int> Lines => new()
    {
        { "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324", "192.168.0.11:443", 0 },
        { "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\nGET /", "255.255.255.255:65535", "255.255.255.255:65535", 5 },
        { "PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1", "[::1]:2", 0 },
        { Signature + "\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x50\x01\xbbGET", "1.2.3.4:80", "5.6.7.8:443", 3 },
        { Signature + "\x21\x11\0\x12\x01\x02\x03\x04\x05\x06\x07\x08\0\x50\x01\xbb\x04\0\u0003abc", "1.2.3.4:80", "5.6.7.8:443", 0 },
    };

    [Theory]
    [MemberData(nameof(Lines))]
    public void A_header_names_source_and_destination(string text, string source, string destination, int behind)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        Assert.Equal(ParseStatus.Done, ProxyHeader.Parse(bytes, out var header));
        Assert.True(header.HasAddresses);
        Assert.Equal((source, destination), (header.Source.ToString(), header.Destination.ToString()));
        Assert.Equal(bytes.Length - behind, header.Length);
    }

    [Theory]
    [InlineData("PROXY UNKNOWN\r\n")]
    [InlineData("PROXY UNKNOWN ffff:f whatever 1\r\n")]
    [InlineData(Signature + "\x20\0\0\0")]
    [InlineData(Signature + "\x20\x11\0\u0002ab")]
    [InlineData(Signature + "\x21\0\0\x03\x04\0\0")]
    [InlineData(Signature + "\x21\x12\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x50\x01\xbb")]
    [InlineData("PROXY TCP4 0.0.0.0 5.6.7.8 1 2\r\n")]
    [InlineData("PROXY TCP6 ::ffff:0.0.0.0 ::1 1 2\r\n")]
    [InlineData(Signature + "\x21\x11\0\x0c\0\0\0\0\x05\x06\x07\x08\0\x50\x01\xbb")]
    public void A_header_without_addresses_leaves_the_connections_own(string text)
    {
        Assert.Equal(ParseStatus.Done, ProxyHeader.Parse(Encoding.Latin1.GetBytes(text), out var header));
        Assert.False(header.HasAddresses);
        Assert.Equal(text.Length, header.Length);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n")]
    [InlineData("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n")]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rX")]
    [InlineData("PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n")]
    [InlineData("PROXY TCP4 ::1 5.6.7.8 1 2\r\n")]
    [InlineData("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n")]
    [InlineData("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n")]
    [InlineData("PROXY UNKNOWNX\r\n")]
    [InlineData("proxy UNKNOWN\r\n")]
    [InlineData(Signature + "\x11")]
    [InlineData(Signature + "\x22\x11\0\x0c")]
    [InlineData(Signature + "\x21\x41")]
    [InlineData(Signature + "\x21\x13")]
    [InlineData(Signature + "\x21\x11\0\x0b")]
    [InlineData(Signature + "\x21\x21\0\x0c")]
    [InlineData(Signature + "\x21\x31\0\x0c")]
    [InlineData(Signature + "\x21\x11\xff\xff")]
    public void What_is_no_header_is_refused(string text) => Assert.Equal(ParseStatus.Invalid, Parse(Encoding.Latin1.GetBytes(text)));

    [Fact]
    public void A_line_that_does_not_end_within_107_bytes_is_refused()
    {
        Assert.Equal(ParseStatus.Done, Parse(Encoding.Latin1.GetBytes("PROXY UNKNOWN " + new string('x', 91) + "\r\n")));
        Assert.Equal(ParseStatus.Invalid, Parse(Encoding.Latin1.GetBytes("PROXY UNKNOWN " + new string('x', 92) + "\r\n")));
        Assert.Equal(ParseStatus.Partial, Parse(Encoding.Latin1.GetBytes("PROXY UNKNOWN " + new string('x', 92))));
        Assert.Equal(ParseStatus.Invalid, Parse(Encoding.Latin1.GetBytes("PROXY UNKNOWN " + new string('x', 93))));
    }

    [Fact]
    public void A_binary_header_has_its_bound()
    {
        byte[] Of(int rest) => [.. Encoding.Latin1.GetBytes(Signature + "\x20\0"), (byte)(rest >> 8), (byte)rest, .. new byte[rest]];
        Assert.Equal(ParseStatus.Done, Parse(Of(ProxyHeader.MaxVersion2Bytes - 16)));
        Assert.Equal(ParseStatus.Invalid, Parse(Of(ProxyHeader.MaxVersion2Bytes - 15)));
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        Prop.ForAll(s_headers, h =>
        {
            var header = Write(h);
            return ProxyHeader.Parse(header, out var read) == ParseStatus.Done && read.Length == header.Length && read.HasAddresses
                && read.Source == h.From && read.Destination == h.To && header.Length <= ProxyHeader.MaxVersion1Bytes;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Every_beginning_of_a_header_waits_for_more_and_more_behind_it_changes_nothing()
    {
        Prop.ForAll(s_headers, h =>
        {
            var header = Write(h);
            return Enumerable.Range(0, header.Length).All(n => Parse(header[..n]) == ParseStatus.Partial && ProxyHeader.MayBegin(header.AsSpan(0, n)))
                && ProxyHeader.Parse([.. header, .. "PROXY \r\n"u8], out var read) == ParseStatus.Done && read.Length == header.Length;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_client_without_an_address_is_said_to_have_none()
    {
        Assert.Equal("PROXY UNKNOWN\r\n"u8.ToArray(), Write((ProxyVersion.V1, default, new ClientAddress(1, 1))));
        Assert.Equal(Encoding.Latin1.GetBytes(Signature + "\x20\0\0\0"), Write((ProxyVersion.V2, default, new ClientAddress(1, 1))));
    }

    [Fact]
    public void No_bytes_whatever_make_it_throw_and_it_never_reads_past_them()
    {
        var random = new Random(7);
        for (var round = 0; round < 200_000; round++)
        {
            var header = Write((round % 2 == 0 ? ProxyVersion.V1 : ProxyVersion.V2, new ClientAddress((uint)random.Next(), 1), new ClientAddress((uint)random.Next(), 2)));
            for (var change = random.Next(4); change > 0; change--)
            {
                header[random.Next(header.Length)] = (byte)random.Next(256);
            }

            var bytes = header[..random.Next(header.Length + 1)];
            var status = ProxyHeader.Parse(bytes, out var read);
            Assert.True(status != ParseStatus.Done || read.Length <= bytes.Length);
        }
    }

    private static ParseStatus Parse(byte[] bytes) => ProxyHeader.Parse(bytes, out _);

    private static byte[] Write((ProxyVersion Version, ClientAddress From, ClientAddress To) header)
    {
        var target = new byte[ProxyHeader.MaxVersion1Bytes];
        return target[..ProxyHeaderWriter.Write(header.Version, header.From, header.To, target)];
    }

    private static ClientAddress Address(ulong high, ulong low, ushort port)
    {
        Span<byte> bytes = stackalloc byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(bytes, high);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], low);
        return new ClientAddress(bytes, port);
    }
}
