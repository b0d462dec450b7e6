namespace FastLB.Core.Http;

/// <summary>What the proxy adds to a request on its way to a worker.</summary>
internal readonly ref struct RequestRewrite
{
    /// <summary>The client's address as text, for X-Forwarded-For.</summary>
    public required ReadOnlySpan<byte> ClientAddress { get; init; }

    /// <summary>What stands in Host when an HTTP/1.0 client sent none.</summary>
    public required ReadOnlySpan<byte> FallbackHost { get; init; }

    /// <summary>True when the client asked for an upgrade that is passed on.</summary>
    public bool Upgrade { get; init; }

    /// <summary>The sticky cookie that the worker does not get to see; empty: cookies pass as they are.</summary>
    public ReadOnlySpan<byte> StrippedCookie { get; init; }

    /// <summary>What the route changes; null: nothing.</summary>
    public HeadEdits? Edits { get; init; }

    /// <summary>True when <see cref="ForwardingLines"/> take the place of the usual X-Forwarded lines.</summary>
    public bool HasForwardingLines { get; init; }

    /// <summary>Whole header lines with their CRLF.</summary>
    public ReadOnlySpan<byte> ForwardingLines { get; init; }
}

/// <summary>What the proxy adds to a response on its way to a client.</summary>
internal readonly ref struct ResponseRewrite
{
    public required HttpVersion ClientVersion { get; init; }

    /// <summary>True when the connection ends after this answer.</summary>
    public required bool Close { get; init; }

    /// <summary>True when the body goes out in chunks.</summary>
    public required bool Chunked { get; init; }

    /// <summary>True for the 101 that opens a tunnel: Connection and Upgrade are put back.</summary>
    public bool Upgrade { get; init; }

    /// <summary>A whole Set-Cookie line with its CRLF, or empty.</summary>
    public ReadOnlySpan<byte> SetCookieLine { get; init; }

    /// <summary>What the route changes; null: nothing.</summary>
    public HeadEdits? Edits { get; init; }

    /// <summary>Whole header lines with their CRLF that the client gets besides those of the worker, or empty.</summary>
    public ReadOnlySpan<byte> AddedLines { get; init; }
}

/// <summary>
/// Writes the head that goes on from the head that came. End-to-end header lines are copied as they are, in runs; what
/// belongs to one hop (RFC 9110 7.6.1) is left out and written anew on purpose: framing, Connection, the forwarding headers. So
/// nothing that a client names in Connection can take away what the proxy adds.
/// </summary>
internal static class HeadRewriter
{
    private const uint AlwaysDropped =
        (1u << (int)HeaderId.Connection) | (1u << (int)HeaderId.ContentLength) | (1u << (int)HeaderId.TransferEncoding)
        | (1u << (int)HeaderId.Upgrade) | (1u << (int)HeaderId.KeepAlive) | (1u << (int)HeaderId.ProxyConnection)
        | (1u << (int)HeaderId.Te) | (1u << (int)HeaderId.Trailer) | (1u << (int)HeaderId.Superseded);

    private const uint DroppedFromRequests =
        AlwaysDropped | (1u << (int)HeaderId.Expect) | (1u << (int)HeaderId.ProxyAuthorization)
        | (1u << (int)HeaderId.XForwarded) | (1u << (int)HeaderId.Forwarded);

    /// <summary>Headers that Connection cannot take away: without them the message would mean something else.</summary>
    private const uint NeverNamed = 1u << (int)HeaderId.Host;

    /// <summary>Writes the request for a worker; always HTTP/1.1. The count of its bytes, or -1 when they do not fit.</summary>
    public static int WriteRequest(
        ReadOnlySpan<byte> source,
        MessageHead head,
        in RequestFacts facts,
        in RequestRewrite rewrite,
        Span<byte> destination)
    {
        var writer = new HeadWriter(destination);
        writer.Write(source.Slice(head.MethodStart, head.MethodLength + 1));
        var edits = rewrite.Edits;
        if (edits is { Target.IsEmpty: false })
        {
            writer.Write(edits.Target);
        }
        else if (facts.PathLength == 0)
        {
            // An absolute target without a path means the root, or with OPTIONS the server (RFC 9112 3.2.1, 3.2.4).
            writer.Write(head.Method == RequestMethod.Options ? "*"u8 : "/"u8);
        }
        else
        {
            writer.Write(source.Slice(facts.PathStart, facts.PathLength));
        }

        writer.Write(" HTTP/1.1\r\n"u8);
        var host = source.Slice(facts.HostStart, facts.HostLength);
        var dropped = DroppedFromRequests;
        if (facts.IsAbsoluteForm || !head.Has(HeaderId.Host) || edits is { Host.IsEmpty: false })
        {
            dropped |= 1u << (int)HeaderId.Host;
            writer.Write("Host: "u8);
            writer.Write(edits is { Host.IsEmpty: false } ? edits.Host : host.IsEmpty ? rewrite.FallbackHost : host);
            writer.Write("\r\n"u8);
        }

        var cookies = rewrite.StrippedCookie.IsEmpty ? 0u : 1u << (int)HeaderId.Cookie;
        CopyHeaders(source, head, facts.Connection, dropped | cookies, edits, ref writer);
        if ((head.Present & cookies) != 0 && !facts.Connection.Names(source, "Cookie"u8) && !(edits is { RemovesAny: true } && edits.Removes("Cookie"u8)))
        {
            CopyCookies(source, head, rewrite.StrippedCookie, ref writer);
        }

        if (rewrite.HasForwardingLines)
        {
            writer.Write(rewrite.ForwardingLines);
        }
        else
        {
            WriteXForwarded(rewrite.ClientAddress, host, ref writer);
        }

        if (edits is not null)
        {
            writer.Write(edits.Lines);
        }

        if (facts.ExpectsContinue)
        {
            writer.Write("Expect: 100-continue\r\n"u8);
        }

        if (rewrite.Upgrade)
        {
            WriteUpgrade(source, head, ref writer);
        }

        WriteFraming(facts.Body.Kind == BodyKind.Chunked, head.Has(HeaderId.ContentLength) ? facts.Body.Length : -1, ref writer);
        writer.Write("\r\n"u8);
        return writer.Overflowed ? -1 : writer.Length;
    }

    /// <summary>Writes the response for a client. The count of its bytes, or -1 when they do not fit.</summary>
    public static int WriteResponse(
        ReadOnlySpan<byte> source,
        MessageHead head,
        in ResponseFacts facts,
        in ResponseRewrite rewrite,
        Span<byte> destination)
    {
        var writer = new HeadWriter(destination);
        writer.Write("HTTP/1.1 "u8);
        writer.WriteNumber(head.StatusCode);
        writer.Write(" "u8);
        writer.Write(source.Slice(head.ReasonStart, head.ReasonLength));
        writer.Write("\r\n"u8);
        CopyHeaders(source, head, facts.Connection, AlwaysDropped, rewrite.Edits, ref writer);
        if (rewrite.Edits is { } edits)
        {
            writer.Write(edits.Lines);
        }

        if (!rewrite.SetCookieLine.IsEmpty)
        {
            // An answer that carries somebody's session must not be shared by a cache (RFC 9111 3.5, 5.2.2.7).
            writer.Write(rewrite.SetCookieLine);
            writer.Write("Cache-Control: private\r\n"u8);
        }

        if (!rewrite.AddedLines.IsEmpty)
        {
            writer.Write(rewrite.AddedLines);
        }

        if (!facts.IsInformational && head.StatusCode != 204)
        {
            // HEAD and 304 name the length that the body would have had.
            WriteFraming(rewrite.Chunked, DeclaredLength(source, head, facts), ref writer);
        }

        if (rewrite.Upgrade)
        {
            WriteUpgrade(source, head, ref writer);
        }
        else if (facts.IsInformational)
        {
            // An informational answer says nothing about the connection.
        }
        else if (rewrite.Close)
        {
            writer.Write("Connection: close\r\n"u8);
        }
        else if (rewrite.ClientVersion == HttpVersion.Http10)
        {
            writer.Write("Connection: keep-alive\r\n"u8);
        }

        writer.Write("\r\n"u8);
        return writer.Overflowed ? -1 : writer.Length;
    }

    private static void WriteXForwarded(ReadOnlySpan<byte> clientAddress, ReadOnlySpan<byte> host, ref HeadWriter writer)
    {
        writer.Write("X-Forwarded-For: "u8);
        writer.Write(clientAddress);
        writer.Write("\r\nX-Forwarded-Proto: http\r\n"u8);
        if (!host.IsEmpty)
        {
            writer.Write("X-Forwarded-Host: "u8);
            writer.Write(host);
            writer.Write("\r\n"u8);
        }
    }

    private static void CopyHeaders(
        ReadOnlySpan<byte> source, MessageHead head, in ConnectionOptions options, uint dropped, HeadEdits? edits, ref HeadWriter writer)
    {
        var headersEnd = head.Length - 2;
        var removesMore = edits is { RemovesAny: true };
        if ((head.Present & dropped) == 0 && !removesMore)
        {
            writer.Write(source[head.HeadersStart..headersEnd]);
            return;
        }

        // Neighbouring lines that stay are copied in one piece.
        var headers = head.Headers;
        var runStart = head.HeadersStart;
        for (var i = 0; i < headers.Length; i++)
        {
            ref readonly var line = ref headers[i];
            var bit = 1u << (int)line.Id;
            var isKept = (bit & dropped) == 0
                && ((bit & NeverNamed) != 0 || !options.Names(source, source.Slice(line.NameStart, line.NameLength)))
                && !(removesMore && edits!.Removes(source.Slice(line.NameStart, line.NameLength)));
            if (isKept)
            {
                continue;
            }

            writer.Write(source[runStart..line.NameStart]);
            runStart = i + 1 < headers.Length ? headers[i + 1].NameStart : headersEnd;
        }

        writer.Write(source[runStart..headersEnd]);
    }

    /// <summary>Each Cookie line without the cookie of this name; a line that held nothing else disappears.</summary>
    private static void CopyCookies(ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> name, ref HeadWriter writer)
    {
        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id != HeaderId.Cookie)
            {
                continue;
            }

            var any = false;
            foreach (var pair in new CookiePairs(source.Slice(line.ValueStart, line.ValueLength)))
            {
                if (pair.Name.SequenceEqual(name))
                {
                    continue;
                }

                writer.Write(any ? "; "u8 : "Cookie: "u8);
                writer.Write(pair.Text);
                any = true;
            }

            if (any)
            {
                writer.Write("\r\n"u8);
            }
        }
    }

    private static void WriteUpgrade(ReadOnlySpan<byte> source, MessageHead head, ref HeadWriter writer)
    {
        writer.Write("Connection: Upgrade\r\n"u8);
        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id == HeaderId.Upgrade)
            {
                writer.Write("Upgrade: "u8);
                writer.Write(source.Slice(line.ValueStart, line.ValueLength));
                writer.Write("\r\n"u8);
            }
        }
    }

    private static void WriteFraming(bool chunked, long length, ref HeadWriter writer)
    {
        if (chunked)
        {
            writer.Write("Transfer-Encoding: chunked\r\n"u8);
        }
        else if (length >= 0)
        {
            writer.Write("Content-Length: "u8);
            writer.WriteNumber(length);
            writer.Write("\r\n"u8);
        }
    }

    private static long DeclaredLength(ReadOnlySpan<byte> source, MessageHead head, in ResponseFacts facts)
    {
        if (facts.Body.Kind == BodyKind.Length)
        {
            return facts.Body.Length;
        }

        if (facts.Body.Kind != BodyKind.None || !head.Has(HeaderId.ContentLength))
        {
            return -1;
        }

        foreach (ref readonly var line in head.Headers)
        {
            // ResponseRules has already refused a malformed or contradictory length.
            if (line.Id == HeaderId.ContentLength
                && System.Buffers.Text.Utf8Parser.TryParse(source.Slice(line.ValueStart, line.ValueLength), out long length, out _))
            {
                return length;
            }
        }

        return -1;
    }
}
