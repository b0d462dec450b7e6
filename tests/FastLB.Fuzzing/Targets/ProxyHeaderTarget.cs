using System.Text;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Fuzzing.References;

namespace FastLB.Fuzzing.Targets;

/// <summary>PROXY headers of both versions, and what FastLB writes itself about the same connection.</summary>
internal sealed class ProxyHeaderTarget : FuzzTarget
{
    private static readonly string[] s_addresses =
        ["1.2.3.4", "255.255.255.255", "0.0.0.0", "01.2.3.4", "256.1.1.1", "1.2.3", "::", "::1", "2001:db8::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "1::2::3", "fe80::1%eth0", "12345::"];

    private readonly byte[] _written = new byte[256];

    public override string Name => "proxy-header";

    public override int MaxBytes => 2_200;

    public override IReadOnlyList<byte[]> Fragments { get; } =
        [.. s_addresses.Concat(["PROXY ", "PROXY UNKNOWN", "TCP4 ", "TCP6 ", " 0 65535\r\n", "\r\n", "\r\n\r\n\0\r\nQUIT\n", "\u0021\u0011\0\u000c", " 00 1\r\n", "\u0020\0\0\0", "\u0021\u0021\0\u0024"]).Select(Encoding.Latin1.GetBytes)];

    public override byte[] Generate(RandomSource chance)
    {
        byte[] behind = chance.Chance(0.5) ? [.. "GET / HTTP/1.1\r\n"u8] : [];
        if (chance.Chance(0.5))
        {
            var family = chance.Chance(0.5) ? "TCP4" : chance.Chance(0.8) ? "TCP6" : "UNKNOWN";
            var line = $"PROXY {family} {Address(chance, family)} {Address(chance, family)} {chance.Next(70_000)} {chance.Next(70_000)}\r\n";
            return [.. Encoding.Latin1.GetBytes(line), .. behind];
        }

        byte[] families = [0x11, 0x11, 0x21, 0x21, 0, 0x12, 0x31, 0x22, 0x10, 0x01];
        var which = families[chance.Next(families.Length)];
        var length = (which >> 4) switch { 1 => 12, 2 => 36, 3 => 216, _ => 0 } + (chance.Chance(0.3) ? chance.Next(chance.Chance(0.1) ? 2_100 : 60) : 0);
        var block = new byte[length];
        for (var i = 0; i < length; i++)
        {
            block[i] = chance.Chance(0.3) ? (byte)0 : (byte)chance.Next(256);
        }

        return [.. "\r\n\r\n\0\r\nQUIT\n"u8, chance.Chance(0.85) ? (byte)0x21 : (byte)0x20, which, (byte)(length >> 8), (byte)length, .. block, .. behind];
    }

    public override ulong Run(byte[] input)
    {
        var expected = ProxyHeaderReference.Read(input);
        var status = Check(input, expected, out var header);
        foreach (var cut in CutsOf(input))
        {
            // More bytes change nothing about what was decided, and the reference says the same of the fewer bytes.
            var fewer = Check(input[..cut], ProxyHeaderReference.Read(input[..cut]), out var earlier);
            Require(fewer == ParseStatus.Partial || (fewer == status && earlier.Equals(header)), $"after {cut} bytes it is {fewer}, and in the end {status}");
            Require(fewer != ParseStatus.Partial || status != ParseStatus.Done || cut < header.Length, $"after {cut} bytes it is partial, and it has {header.Length}");
        }

        Accepted += status == ParseStatus.Done ? 1 : 0;
        if (status == ParseStatus.Done && header.HasAddresses)
        {
            foreach (var version in (ProxyVersion[])[ProxyVersion.V1, ProxyVersion.V2])
            {
                var length = ProxyHeaderWriter.Write(version, header.Source, header.Destination, _written);
                Agree(new ProxyHeaderReference.Verdict(ParseStatus.Done, length, header.Source, header.Destination), ProxyHeaderReference.Read(_written[..length]), $"written as {version}");
            }
        }

        return Signal.Of((long)status, Signal.Bucket(header.Length), header.HasAddresses ? 1 : 0, header.Source.IsIPv4 ? 1 : 0, input.Length > 12 ? input[12] : 0, input.Length > 13 ? input[13] : 0, Signal.Bucket(input.Length));
    }

    private static ParseStatus Check(byte[] bytes, ProxyHeaderReference.Verdict expected, out ProxyHeader header)
    {
        var status = ProxyHeader.Parse(bytes, out header);
        Agree(expected.Status, status, $"the status of {bytes.Length} bytes");
        if (status == ParseStatus.Done)
        {
            Agree(expected.Length, header.Length, "the length");
            Agree(expected.Source is not null, header.HasAddresses, "whether it names somebody");
            Agree(expected.Source ?? header.Source, header.Source, "the source");
            Agree(expected.Destination ?? header.Destination, header.Destination, "the destination");
        }

        var text = Encoding.Latin1.GetString(bytes);
        var mayBegin = ((string[])["PROXY ", "\r\n\r\n\0\r\nQUIT\n"]).Any(s => s.StartsWith(text, StringComparison.Ordinal) || text.StartsWith(s, StringComparison.Ordinal));
        Agree(mayBegin, ProxyHeader.MayBegin(bytes), "whether a header may begin so");
        return status;
    }

    private static string Address(RandomSource chance, string family) =>
        chance.Chance(0.1) ? s_addresses[chance.Next(s_addresses.Length)]
        : family == "TCP4" ? $"{chance.Next(256)}.{chance.Next(256)}.{chance.Next(256)}.{chance.Next(256)}"
        : chance.Chance(0.5) ? s_addresses[6 + chance.Next(6)]
        : string.Join(':', Enumerable.Range(0, 8).Select(_ => chance.Next(65_536).ToString("x", System.Globalization.CultureInfo.InvariantCulture)));
}
