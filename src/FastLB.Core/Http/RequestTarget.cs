namespace FastLB.Core.Http;

/// <summary>The forms of a request target other than a path (RFC 9112 3.2).</summary>
internal static class RequestTarget
{
    /// <summary>
    /// Whether a target that does not start with '/' is '*', has a scheme and "://", or comes with CONNECT, which is refused for what
    /// it is and not for its target. The parser asks; which scheme and what host it is, the rules ask.
    /// </summary>
    internal static bool HasOtherForm(ReadOnlySpan<byte> target, RequestMethod method)
    {
        if (method == RequestMethod.Connect || target.SequenceEqual("*"u8))
        {
            return true;
        }

        var colon = target.IndexOf((byte)':');
        return colon > 0 && IsScheme(target[..colon]) && target[colon..].StartsWith("://"u8);
    }

    /// <summary>
    /// Splits the absolute form: <paramref name="hostStart"/> and <paramref name="pathStart"/> count from the target's first byte; the
    /// authority ends where the path starts. Only http and https are served here. A query without a path ("http://a?b")
    /// is refused: sent on it would need a '/' that stands nowhere, and no known client sends it.
    /// </summary>
    internal static bool TrySplitAbsolute(ReadOnlySpan<byte> target, out int hostStart, out int pathStart)
    {
        hostStart = HeadText.StartsWith(target, "http://"u8) ? "http://"u8.Length
            : HeadText.StartsWith(target, "https://"u8) ? "https://"u8.Length
            : -1;
        pathStart = target.Length;
        if (hostStart < 0)
        {
            return false;
        }

        var end = target[hostStart..].IndexOfAny((byte)'/', (byte)'?');
        if (end < 0)
        {
            return true;
        }

        pathStart = hostStart + end;
        return target[pathStart] == '/';
    }

    /// <summary>A letter, then letters, digits, '+', '-' and '.' (RFC 3986 3.1).</summary>
    private static bool IsScheme(ReadOnlySpan<byte> scheme)
    {
        foreach (var value in scheme)
        {
            if (!char.IsAsciiLetterOrDigit((char)value) && value is not ((byte)'+' or (byte)'-' or (byte)'.'))
            {
                return false;
            }
        }

        return char.IsAsciiLetter((char)scheme[0]);
    }
}
