using System.Buffers.Binary;
using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>
/// The header with which a proxy in front says whose connection it passes on (proxy-protocol.txt of HAProxy, sections 2.1 and 2.2). A pure parser:
/// it is given all bytes from the connection's first on, again as more come. Of version 2 everything behind the addresses (TLVs, their
/// checksum included) is passed over.
/// </summary>
public readonly struct ProxyHeader
{
    /// <summary>The longest line of version 1, with its CRLF.</summary>
    public const int MaxVersion1Bytes = 107;

    /// <summary>The longest header of version 2 that is taken, TLVs included. The protocol asks for one that fits into a segment.</summary>
    public const int MaxVersion2Bytes = 2_048;

    internal const int FixedBytes = 16;

    private const int IPv4Bytes = 12;
    private const int IPv6Bytes = 36;
    private const int UnixBytes = 216;

    internal static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    internal static ReadOnlySpan<byte> Word => "PROXY "u8;

    /// <summary>Bytes of the header; what the client itself said comes behind.</summary>
    public int Length { get; private init; }

    /// <summary>Whether it names a client. Otherwise the connection is the proxy's own, or from where there are no such addresses.</summary>
    public bool HasAddresses { get; private init; }

    public ClientAddress Source { get; private init; }

    /// <summary>Where the client connected to.</summary>
    public ClientAddress Destination { get; private init; }

    /// <summary>Whether the bytes are the beginning of a header, as far as they go. No bytes are.</summary>
    public static bool MayBegin(ReadOnlySpan<byte> bytes) => IsPrefix(bytes, Signature) || IsPrefix(bytes, Word);

    /// <summary>Done with the header, Partial when more bytes may complete it, Invalid when none can.</summary>
    public static ParseStatus Parse(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        if (IsPrefix(bytes, Signature))
        {
            return bytes.Length <= Signature.Length ? ParseStatus.Partial : ParseVersion2(bytes, out header);
        }

        return !IsPrefix(bytes, Word) ? ParseStatus.Invalid
            : bytes.Length <= Word.Length ? ParseStatus.Partial
            : ParseVersion1(bytes, out header);
    }

    private static bool IsPrefix(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> of) =>
        bytes.Length < of.Length ? of.StartsWith(bytes) : bytes.StartsWith(of);

    private static ParseStatus ParseVersion2(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        var command = bytes[Signature.Length];
        if (command is not (0x20 or 0x21))
        {
            return ParseStatus.Invalid;
        }

        if (bytes.Length < FixedBytes)
        {
            return bytes.Length > 13 && !IsKnownFamily(bytes[13]) ? ParseStatus.Invalid : ParseStatus.Partial;
        }

        var family = bytes[13];
        int rest = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        if (!IsKnownFamily(family) || rest > MaxVersion2Bytes - FixedBytes || (command == 0x21 && rest < AddressBytes(family)))
        {
            return ParseStatus.Invalid;
        }

        if (bytes.Length < FixedBytes + rest)
        {
            return ParseStatus.Partial;
        }

        var addresses = bytes.Slice(FixedBytes, rest);
        var isIPv4 = family == 0x11;
        if (command == 0x20 || (!isIPv4 && family != 0x21))
        {
            header = new ProxyHeader { Length = FixedBytes + rest };
            return ParseStatus.Done;
        }

        header = isIPv4
            ? Named(
                FixedBytes + rest,
                new ClientAddress(BinaryPrimitives.ReadUInt32BigEndian(addresses), BinaryPrimitives.ReadUInt16BigEndian(addresses[8..])),
                new ClientAddress(BinaryPrimitives.ReadUInt32BigEndian(addresses[4..]), BinaryPrimitives.ReadUInt16BigEndian(addresses[10..])))
            : Named(
                FixedBytes + rest,
                new ClientAddress(addresses[..16], BinaryPrimitives.ReadUInt16BigEndian(addresses[32..])),
                new ClientAddress(addresses[16..32], BinaryPrimitives.ReadUInt16BigEndian(addresses[34..])));
        return ParseStatus.Done;
    }

    /// <summary>An address of zeros stands for nobody.</summary>
    private static ProxyHeader Named(int length, in ClientAddress source, in ClientAddress destination) =>
        new() { Length = length, HasAddresses = !source.IsUnspecified, Source = source, Destination = destination };

    /// <summary>High half: unspecified, IPv4, IPv6, unix. Low half: unspecified, stream, datagram.</summary>
    private static bool IsKnownFamily(byte family) => family >> 4 <= 3 && (family & 15) <= 2;

    private static int AddressBytes(byte family) => (family & 15) == 0 ? 0 : (family >> 4) switch
    {
        1 => IPv4Bytes,
        2 => IPv6Bytes,
        3 => UnixBytes,
        _ => 0,
    };

    private static ParseStatus ParseVersion1(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        var window = bytes[..Math.Min(bytes.Length, MaxVersion1Bytes)];
        var end = window.IndexOfAny((byte)'\r', (byte)'\n');
        if (end < 0 || end == window.Length - 1)
        {
            return window.Length == MaxVersion1Bytes || (end >= 0 && window[end] == '\n') ? ParseStatus.Invalid : ParseStatus.Partial;
        }

        if (window[end] == '\n' || window[end + 1] != '\n')
        {
            return ParseStatus.Invalid;
        }

        var line = window[Word.Length..end];
        var length = end + 2;
        if (line.SequenceEqual("UNKNOWN"u8) || line.StartsWith("UNKNOWN "u8))
        {
            header = new ProxyHeader { Length = length };
            return ParseStatus.Done;
        }

        return TryReadLine(line, length, out header) ? ParseStatus.Done : ParseStatus.Invalid;
    }

    private static bool TryReadLine(ReadOnlySpan<byte> line, int length, out ProxyHeader header)
    {
        header = default;
        var isIPv4 = line.StartsWith("TCP4 "u8);
        if (!isIPv4 && !line.StartsWith("TCP6 "u8))
        {
            return false;
        }

        line = line["TCP4 "u8.Length..];
        if (!TryTakeWord(ref line, out var sourceText) || !TryTakeWord(ref line, out var destinationText) || !TryTakeWord(ref line, out var portText)
            || !AddressText.TryReadPort(portText, out var sourcePort) || !AddressText.TryReadPort(line, out var destinationPort)
            || !TryRead(sourceText, isIPv4, sourcePort, out var source) || !TryRead(destinationText, isIPv4, destinationPort, out var destination))
        {
            return false;
        }

        header = Named(length, source, destination);
        return true;
    }

    /// <summary>What stands before the next blank.</summary>
    private static bool TryTakeWord(ref ReadOnlySpan<byte> line, out ReadOnlySpan<byte> word)
    {
        var blank = line.IndexOf((byte)' ');
        word = blank < 0 ? default : line[..blank];
        line = line[(blank + 1)..];
        return blank >= 0;
    }

    private static bool TryRead(ReadOnlySpan<byte> text, bool isIPv4, ushort port, out ClientAddress address) =>
        isIPv4 ? AddressText.TryReadIPv4(text, port, out address) : AddressText.TryReadIPv6(text, port, out address);
}
