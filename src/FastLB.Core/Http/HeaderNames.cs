namespace FastLB.Core.Http;

/// <summary>Recognises the headers that the proxy acts on, by length first and then without regard to case.</summary>
internal static class HeaderNames
{
    /// <summary>The id of a name that is a token (what is no token byte was refused before).</summary>
    internal static HeaderId Classify(ReadOnlySpan<byte> name)
    {
        switch (name.Length)
        {
            case 2 when HeadText.Is(name, "te"u8):
                return HeaderId.Te;
            case 4 when HeadText.Is(name, "host"u8):
                return HeaderId.Host;
            case 6 when HeadText.Is(name, "cookie"u8):
                return HeaderId.Cookie;
            case 6 when HeadText.Is(name, "expect"u8):
                return HeaderId.Expect;
            case 7 when HeadText.Is(name, "upgrade"u8):
                return HeaderId.Upgrade;
            case 7 when HeadText.Is(name, "trailer"u8):
                return HeaderId.Trailer;
            case 9 when HeadText.Is(name, "forwarded"u8):
                return HeaderId.Forwarded;
            case 10 when HeadText.Is(name, "connection"u8):
                return HeaderId.Connection;
            case 10 when HeadText.Is(name, "keep-alive"u8):
                return HeaderId.KeepAlive;
            case 14 when HeadText.Is(name, "content-length"u8):
                return HeaderId.ContentLength;
            case 16 when HeadText.Is(name, "proxy-connection"u8):
                return HeaderId.ProxyConnection;
            case 17 when HeadText.Is(name, "transfer-encoding"u8):
                return HeaderId.TransferEncoding;
            case 19 when HeadText.Is(name, "proxy-authorization"u8):
                return HeaderId.ProxyAuthorization;
            case > 12 when IsXForwarded(name):
                return HeaderId.XForwarded;
            default:
                return HeaderId.Other;
        }
    }

    /// <summary>
    /// Whether a name is Content-Length or Transfer-Encoding with an underscore for its dash. CGI, WSGI and Rack turn both into the
    /// same variable, so a worker may frame the message by a line that the proxy took for a header like any other. Nobody
    /// sends these for good; they are refused, in requests and responses alike.
    /// </summary>
    internal static bool ImitatesFraming(ReadOnlySpan<byte> name) =>
        (name.Length == 14 && name[7] == '_' && HeadText.Is(name[..7], "content"u8) && HeadText.Is(name[8..], "length"u8))
        || (name.Length == 17 && name[8] == '_' && HeadText.Is(name[..8], "transfer"u8) && HeadText.Is(name[9..], "encoding"u8));

    /// <summary>Whether two names are one to a worker: case does not count, and to CGI, WSGI and Rack '_' is as good as '-'.</summary>
    internal static bool IsSame(ReadOnlySpan<byte> name, ReadOnlySpan<byte> other)
    {
        if (name.Length != other.Length)
        {
            return false;
        }

        for (var i = 0; i < name.Length; i++)
        {
            if (Folded(name[i]) != Folded(other[i]))
            {
                return false;
            }
        }

        return true;

        static int Folded(byte letter) => letter == '_' ? '-' : char.IsAsciiLetterUpper((char)letter) ? letter | 0x20 : letter;
    }

    /// <summary>X-Forwarded-*, with dashes or underscores: a client's must not reach a worker that reads one as the other.</summary>
    private static bool IsXForwarded(ReadOnlySpan<byte> name) =>
        (name[0] | 0x20) == 'x'
        && name[1] is (byte)'-' or (byte)'_'
        && name[11] is (byte)'-' or (byte)'_'
        && HeadText.Is(name.Slice(2, 9), "forwarded"u8);
}
