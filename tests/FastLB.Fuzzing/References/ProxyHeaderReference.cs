using System.Text;
using System.Text.RegularExpressions;
using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Fuzzing.References;

/// <summary>
/// proxy-protocol.txt of HAProxy, sections 2.1 and 2.2, in words. By design: of version 2 at most 2048 bytes; datagrams, unix sockets and families without a transport name nobody; zeros
/// stand for nobody; what version 1 says behind UNKNOWN is passed over, as 2.1 demands.
/// </summary>
internal static partial class ProxyHeaderReference
{
    private const string Signature = "\r\n\r\n\0\r\nQUIT\n";

    internal sealed record Verdict(ParseStatus Status, int Length = 0, ClientAddress? Source = null, ClientAddress? Destination = null)
    {
        public static Verdict Partial { get; } = new(ParseStatus.Partial);

        public static Verdict Invalid { get; } = new(ParseStatus.Invalid);
    }

    public static Verdict Read(byte[] bytes)
    {
        var text = Encoding.Latin1.GetString(bytes);
        if (Signature.StartsWith(text, StringComparison.Ordinal) || "PROXY ".StartsWith(text, StringComparison.Ordinal))
        {
            return Verdict.Partial;
        }

        return text.StartsWith(Signature, StringComparison.Ordinal) ? Version2(bytes)
            : text.StartsWith("PROXY ", StringComparison.Ordinal) ? Version1(text[..Math.Min(text.Length, 107)])
            : Verdict.Invalid;
    }

    private static Verdict Version1(string window)
    {
        var lineEnd = window.IndexOfAny(['\r', '\n']);
        if (lineEnd < 0 || (window[lineEnd] == '\r' && lineEnd == window.Length - 1))
        {
            return window.Length == 107 ? Verdict.Invalid : Verdict.Partial;
        }

        if (!window[lineEnd..].StartsWith("\r\n", StringComparison.Ordinal))
        {
            return Verdict.Invalid;
        }

        var line = window[..lineEnd];
        if (line == "PROXY UNKNOWN" || line.StartsWith("PROXY UNKNOWN ", StringComparison.Ordinal))
        {
            return new Verdict(ParseStatus.Done, lineEnd + 2);
        }

        var words = line.Split(' ');
        if (words.Length != 6 || words[1] is not ("TCP4" or "TCP6"))
        {
            return Verdict.Invalid;
        }

        Func<string, byte[]?> read = words[1] == "TCP4" ? AddressReference.IPv4 : AddressReference.IPv6;
        return read(words[2]) is { } source && read(words[3]) is { } destination && AddressReference.Port(words[4]) is { } from && AddressReference.Port(words[5]) is { } to
            ? Named(lineEnd + 2, source, from, destination, to)
            : Verdict.Invalid;
    }

    private static Verdict Version2(byte[] bytes)
    {
        if (bytes[12] is not (0x20 or 0x21))
        {
            return Verdict.Invalid;
        }

        // The 13th byte says version 2 and whether the connection is the proxy's own, the 14th how high its address family and its transport are.
        if (bytes.Length > 13 && (bytes[13] / 16 > 3 || bytes[13] % 16 > 2))
        {
            return Verdict.Invalid;
        }

        if (bytes.Length < 16)
        {
            return Verdict.Partial;
        }

        var length = (bytes[14] * 256) + bytes[15];
        var needed = bytes[13] % 16 == 0 ? 0 : (bytes[13] / 16) switch { 1 => 12, 2 => 36, 3 => 216, _ => 0 };
        if (length > 2048 - 16 || (bytes[12] == 0x21 && length < needed))
        {
            return Verdict.Invalid;
        }

        if (bytes.Length < 16 + length)
        {
            return Verdict.Partial;
        }

        var block = bytes[16..(16 + length)];
        if (bytes[12] == 0x20 || bytes[13] is not (0x11 or 0x21))
        {
            return new Verdict(ParseStatus.Done, 16 + length);
        }

        var size = bytes[13] == 0x11 ? 4 : 16;
        return Named(
            16 + length,
            block[..size],
            (ushort)((block[2 * size] * 256) + block[(2 * size) + 1]),
            block[size..(2 * size)],
            (ushort)((block[(2 * size) + 2] * 256) + block[(2 * size) + 3]));
    }

    private static Verdict Named(int length, byte[] source, ushort from, byte[] destination, ushort to) =>
        AddressReference.IsUnspecified(source)
            ? new Verdict(ParseStatus.Done, length)
            : new Verdict(ParseStatus.Done, length, AddressReference.AddressOf(source, from), AddressReference.AddressOf(destination, to));
}
