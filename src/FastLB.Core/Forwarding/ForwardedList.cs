using System.Text;
using FastLB.Core.Http;

namespace FastLB.Core.Forwarding;

/// <summary>
/// What a worker is told in Forwarded of the hops before the last, when a trusted proxy told of them: its own elements, or what its X-Forwarded lines
/// come to. Each has a comma behind it, for FastLB's own element follows. Whoever reads the list from its end finds the client that <see cref="ClientChain"/> finds.
/// </summary>
internal static class ForwardedList
{
    /// <summary>
    /// The elements that stand in Forwarded. What is not well-formed is left out, or ours would stand in a quote that a client has left open; and so is all
    /// that stands before it, or those who read from the end would be led past it, to what the client wrote itself.
    /// </summary>
    public static void WriteContinued(ReadOnlySpan<byte> source, MessageHead head, ref HeadWriter writer)
    {
        var wholeFrom = head.HeaderCount;
        while (wholeFrom > 0 && (head.Headers[wholeFrom - 1].Id != HeaderId.Forwarded || IsWhole(ValueOf(source, head, wholeFrom - 1), out _)))
        {
            wholeFrom--;
        }

        for (var i = Math.Max(0, wholeFrom - 1); i < head.HeaderCount; i++)
        {
            if (head.Headers[i].Id == HeaderId.Forwarded)
            {
                IsWhole(ValueOf(source, head, i), out var tail);
                writer.Write(tail);
                writer.Write(tail.IsEmpty ? default : ", "u8);
            }
        }
    }

    /// <summary>
    /// One element for each entry of X-Forwarded-For, one that is empty included, for nobody reads past it. The first has what X-Forwarded-Proto and -Host say, if each says one thing: they are about the way
    /// from the client to the first proxy. The proxy's own Forwarded is not looked at: one that writes X-Forwarded-For may have passed it on as its client sent it.
    /// </summary>
    public static void WriteTranslated(ReadOnlySpan<byte> source, MessageHead head, ref HeadWriter writer)
    {
        var proto = OnlyValueOf(ForwardedNames.Proto, source, head);
        proto = proto.ContainsAnyExcept(TokenText.Characters) ? default : proto;
        var host = OnlyValueOf(ForwardedNames.Host, source, head);
        host = Authority.IsValid(host, out _) ? host : default;
        var isFirst = true;
        for (var i = 0; i < head.HeaderCount; i++)
        {
            ref readonly var line = ref head.Headers[i];
            if (line.Id != HeaderId.XForwarded || !ForwardedNames.IsFor(source.Slice(line.NameStart, line.NameLength)))
            {
                continue;
            }

            var list = ValueOf(source, head, i);
            for (var comma = 0; comma >= 0; isFirst = false)
            {
                comma = list.IndexOf((byte)',');
                var node = (comma < 0 ? list : list[..comma]).Trim(" \t"u8);
                ForwardedElement.WriteTold(node, isFirst ? host : default, isFirst ? proto : default, ref writer);
                writer.Write(", "u8);
                list = list[(comma + 1)..];
            }
        }

        if (isFirst && !(host.IsEmpty && proto.IsEmpty))
        {
            ForwardedElement.WriteTold(default, host, proto, ref writer);
            writer.Write(", "u8);
        }
    }

    private static ReadOnlySpan<byte> ValueOf(ReadOnlySpan<byte> source, MessageHead head, int index)
    {
        ref readonly var line = ref head.Headers[index];
        return source.Slice(line.ValueStart, line.ValueLength);
    }

    /// <summary>The value of the one line of a name; empty when there are several, for nobody knows which of them is right.</summary>
    private static ReadOnlySpan<byte> OnlyValueOf(ReadOnlySpan<byte> name, ReadOnlySpan<byte> source, MessageHead head)
    {
        var found = -1;
        for (var i = 0; i < head.HeaderCount; i++)
        {
            ref readonly var line = ref head.Headers[i];
            if (line.Id != HeaderId.XForwarded || !Ascii.EqualsIgnoreCase(source.Slice(line.NameStart, line.NameLength), name))
            {
                continue;
            }

            if (found >= 0)
            {
                return default;
            }

            found = i;
        }

        return found < 0 ? default : ValueOf(source, head, found);
    }

    /// <summary>Whether all of a line is well-formed; in <paramref name="tail"/> as much of it as is, from its end.</summary>
    private static bool IsWhole(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> tail)
    {
        tail = default;
        var rest = line;
        while (true)
        {
            var comma = ClientChain.LastComma(rest, quotes: true);
            if (!ForwardedElement.IsWellFormed(rest[(comma + 1)..].Trim(" \t"u8)))
            {
                return false;
            }

            tail = line[(comma + 1)..].TrimStart(" \t"u8);
            if (comma < 0)
            {
                return true;
            }

            rest = rest[..comma];
        }
    }
}
