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
        var found = false;
        while (!element.IsEmpty)
        {
            var equals = element.IndexOf((byte)'=');
            if (equals < 1 || element[..equals].ContainsAnyExcept(TokenText.Characters) || !TryTakeValue(element[(equals + 1)..], out var value, out var rest))
            {
                return false;
            }

            if (System.Text.Ascii.EqualsIgnoreCase(element[..equals], "for"u8))
            {
                if (found || !AddressText.TryReadNode(value, out address))
                {
                    return false;
                }

                found = true;
            }

            element = rest;
        }

        return found;
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

        if (!host.IsEmpty)
        {
            // A colon and brackets are no token characters.
            var isToken = !host.ContainsAnyExcept(TokenText.Characters);
            writer.Write(isToken ? ";host="u8 : ";host=\""u8);
            writer.Write(host);
            writer.Write(isToken ? default : "\""u8);
        }

        writer.Write(";proto=http"u8);
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
