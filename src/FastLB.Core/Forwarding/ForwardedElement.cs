using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>One element of Forwarded: <c>for=192.0.2.60;proto=http;host="example.com:80"</c> (RFC 7239 4).</summary>
internal static class ForwardedElement
{
    /// <summary>The address that <c>for</c> names. False when there is none, when it is hidden, and for an element that is not well-formed or has an escaped quote.</summary>
    public static bool TryReadFor(ReadOnlySpan<byte> element, out ClientAddress address)
    {
        address = default;
        return TryRead(element, out var node) && AddressText.TryReadNode(node, out address);
    }

    /// <summary>Whether it is one as far as <see cref="TryReadFor"/> reads them: at least one pair, of which no second <c>for</c>; there may be none at all.</summary>
    public static bool IsWellFormed(ReadOnlySpan<byte> element) => TryRead(element, out _);

    /// <summary>In <paramref name="node"/> the value of <c>for</c>, empty when there is none.</summary>
    private static bool TryRead(ReadOnlySpan<byte> element, out ReadOnlySpan<byte> node)
    {
        node = default;
        var found = false;
        if (element.IsEmpty)
        {
            return false;
        }

        while (!element.IsEmpty)
        {
            var equals = element.IndexOf((byte)'=');
            if (equals < 1 || element[..equals].ContainsAnyExcept(TokenText.Characters) || !TryTakeValue(element[(equals + 1)..], out var value, out var rest))
            {
                return false;
            }

            if (System.Text.Ascii.EqualsIgnoreCase(element[..equals], "for"u8))
            {
                if (found)
                {
                    return false;
                }

                node = value;
                found = true;
            }

            element = rest;
        }

        return true;
    }

    /// <summary>Writes an element for a hop.</summary>
    /// <param name="peer">Who sent the request here; a unix socket's peer is <c>unknown</c>.</param>
    /// <param name="by">An identifier of ours, or empty.</param>
    /// <param name="host">As the request names it, or empty.</param>
    /// <param name="writer">Where it is written.</param>
    public static void Write(in ClientAddress peer, ReadOnlySpan<byte> by, ReadOnlySpan<byte> host, ref HeadWriter writer)
    {
        writer.Write("for="u8);
        WriteNode(peer, ref writer);
        if (!by.IsEmpty)
        {
            writer.Write(";by="u8);
            writer.Write(by);
        }

        WriteHost(host, ref writer);
        writer.Write(";proto=http"u8);
    }

    /// <summary>Writes an element for a hop that others tell of.</summary>
    /// <param name="node">As X-Forwarded-For names it; what is no address is <c>unknown</c> here.</param>
    /// <param name="host">A valid one, or empty.</param>
    /// <param name="proto">A token, or empty.</param>
    /// <param name="writer">Where it is written.</param>
    public static void WriteTold(ReadOnlySpan<byte> node, ReadOnlySpan<byte> host, ReadOnlySpan<byte> proto, ref HeadWriter writer)
    {
        writer.Write("for="u8);
        WriteNode(node, ref writer);
        WriteHost(host, ref writer);
        if (!proto.IsEmpty)
        {
            writer.Write(";proto="u8);
            writer.Write(proto);
        }
    }

    private static void WriteHost(ReadOnlySpan<byte> host, ref HeadWriter writer)
    {
        if (host.IsEmpty)
        {
            return;
        }

        // A colon and brackets are no token characters.
        var isToken = !host.ContainsAnyExcept(TokenText.Characters);
        writer.Write(isToken ? ";host="u8 : ";host=\""u8);
        writer.Write(host);
        writer.Write(isToken ? default : "\""u8);
    }

    /// <summary>Colons have to be quoted, and IPv6 has to stand in brackets (RFC 7239 6); X-Forwarded-For has neither.</summary>
    private static void WriteNode(ReadOnlySpan<byte> node, ref HeadWriter writer)
    {
        if (!AddressText.TryReadNode(node, out _))
        {
            writer.Write("unknown"u8);
            return;
        }

        var isQuoted = node.Contains((byte)':');
        var isBare = node[0] != '[' && node.Count((byte)':') > 1;
        writer.Write(isBare ? "\"["u8 : isQuoted ? "\""u8 : default);
        writer.Write(node);
        writer.Write(isBare ? "]\""u8 : isQuoted ? "\""u8 : default);
    }

    private static void WriteNode(in ClientAddress peer, ref HeadWriter writer)
    {
        if (peer.IsNone)
        {
            writer.Write("unknown"u8);
            return;
        }

        writer.Write(peer.IsIPv4 ? default : "\"["u8);
        AddressText.Write(peer, ref writer);
        writer.Write(peer.IsIPv4 ? default : "]\""u8);
    }

    /// <summary>A token or a quoted string without escapes, and what comes behind the semicolon that follows.</summary>
    private static bool TryTakeValue(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> value, out ReadOnlySpan<byte> rest)
    {
        value = default;
        rest = default;
        int end;
        if (text is [(byte)'"', ..])
        {
            var close = text[1..].IndexOf((byte)'"');
            if (close < 0 || text.Slice(1, close).Contains((byte)'\\'))
            {
                return false;
            }

            value = text.Slice(1, close);
            end = close + 2;
        }
        else
        {
            // Many write an IPv6 address, or a port, without the quotes that they need; what can be read is read.
            end = text.IndexOf((byte)';') is >= 0 and var semicolon ? semicolon : text.Length;
            value = text[..end];
            if (value.IsEmpty || value.ContainsAny("\" \t,\\"u8))
            {
                return false;
            }
        }

        if (end == text.Length)
        {
            return true;
        }

        rest = text[(end + 1)..];
        return text[end] == ';' && !rest.IsEmpty;
    }
}
