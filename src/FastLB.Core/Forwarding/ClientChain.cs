using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>
/// Who the client of a request is that came through proxies. Each proxy has appended whom it got the request from, so the list is read from its
/// end: as long as an entry is a trusted proxy's, the one before it can be believed. The client is the first that is not trusted; where nothing more
/// can be read (garbage, <c>unknown</c>, <c>_hidden</c>), the last address that could. What the client itself wrote stands before that and is never looked at.
/// </summary>
internal static class ClientChain
{
    /// <summary>By X-Forwarded-For, whose lines are one list in the order in which they stand (RFC 9110 5.3).</summary>
    public static ClientAddress ByForwardedFor(in ClientAddress peer, ReadOnlySpan<byte> source, MessageHead head, NetworkSet trusted)
    {
        var last = peer;
        for (var i = head.HeaderCount - 1; i >= 0; i--)
        {
            ref readonly var line = ref head.Headers[i];
            if (line.Id == HeaderId.XForwarded && ForwardedNames.IsFor(source.Slice(line.NameStart, line.NameLength))
                && !GoThrough(source.Slice(line.ValueStart, line.ValueLength), quotes: false, trusted, ref last))
            {
                break;
            }
        }

        return last;
    }

    /// <summary>By the <c>for</c> of each element of Forwarded (RFC 7239 4).</summary>
    public static ClientAddress ByForwarded(in ClientAddress peer, ReadOnlySpan<byte> source, MessageHead head, NetworkSet trusted)
    {
        var last = peer;
        for (var i = head.HeaderCount - 1; i >= 0; i--)
        {
            ref readonly var line = ref head.Headers[i];
            if (line.Id == HeaderId.Forwarded && !GoThrough(source.Slice(line.ValueStart, line.ValueLength), quotes: true, trusted, ref last))
            {
                break;
            }
        }

        return last;
    }

    /// <summary>Goes through one line from its end. False when the client is found; true when it may stand in a line before.</summary>
    private static bool GoThrough(ReadOnlySpan<byte> list, bool quotes, NetworkSet trusted, ref ClientAddress last)
    {
        while (true)
        {
            var comma = LastComma(list, quotes);
            var item = list[(comma + 1)..].Trim(" \t"u8);
            if (!(quotes ? ForwardedElement.TryReadFor(item, out var address) : AddressText.TryReadNode(item, out address)))
            {
                return false;
            }

            last = address;
            if (!trusted.Contains(address))
            {
                return false;
            }

            if (comma < 0)
            {
                return true;
            }

            list = list[..comma];
        }
    }

    /// <summary>Commas between quotes separate nothing. Counted from the end, so that a quote which a client has left open hides nothing that stands behind it.</summary>
    internal static int LastComma(ReadOnlySpan<byte> list, bool quotes)
    {
        if (!quotes)
        {
            return list.LastIndexOf((byte)',');
        }

        var isQuoted = false;
        for (var i = list.Length - 1; i >= 0; i--)
        {
            if (list[i] == '"')
            {
                isQuoted = !isQuoted;
            }
            else if (list[i] == ',' && !isQuoted)
            {
                return i;
            }
        }

        return -1;
    }
}
