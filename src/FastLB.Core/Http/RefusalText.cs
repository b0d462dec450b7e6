namespace FastLB.Core.Http;

/// <summary>The status and the sentence that belong to each <see cref="Refusal"/> of a request. A refused response is a 502.</summary>
public static class RefusalText
{
    public static (int Status, string Sentence) Of(Refusal refusal) => refusal switch
    {
        Refusal.MethodMalformed => (400, "the request method is not a token (RFC 9110 9.1)"),
        Refusal.MethodTooLong => (501, "the request method is longer than any that is known"),
        Refusal.TargetMalformed => (400, "the request target has a byte that is not allowed there; percent-encode it"),
        Refusal.TargetTooLong => (414, "the request target is longer than this server allows"),
        Refusal.VersionMalformed => (400, "the request line does not end with HTTP/1.1 or HTTP/1.0 after a single space"),
        Refusal.VersionUnsupported => (505, "only HTTP/1.1 and HTTP/1.0 are spoken here"),
        Refusal.NotHttp => (400, "this is not HTTP; a TLS client on a plain port looks like this"),
        Refusal.HeadTooLarge => (431, "the request head is larger than this server allows"),
        Refusal.TooManyHeaders => (431, "the request has more header lines than this server allows"),
        Refusal.HeaderNameMalformed => (400, "a header name is empty or has a byte that is not allowed there"),
        Refusal.SpaceBeforeColon => (400, "there is white space between a header name and its colon"),
        Refusal.LineFolding => (400, "a header line starts with white space (obsolete line folding)"),
        Refusal.BareLineFeed => (400, "a line ends with LF instead of CRLF"),
        Refusal.BareCarriageReturn => (400, "a CR stands without its LF"),
        Refusal.ControlByteInValue => (400, "a header value has a control byte"),
        Refusal.HostMissing => (400, "the Host header is missing"),
        Refusal.HostDuplicate => (400, "there is more than one Host header"),
        Refusal.HostMalformed => (400, "the host is not a name or address with an optional port"),
        Refusal.ContentLengthMalformed => (400, "Content-Length is not a number"),
        Refusal.ContentLengthConflict => (400, "there are several different Content-Length values"),
        Refusal.LengthAndEncoding => (400, "Content-Length and Transfer-Encoding exclude each other"),
        Refusal.TransferEncodingInHttp10 => (400, "HTTP/1.0 has no Transfer-Encoding"),
        Refusal.TransferEncodingUnknown => (501, "chunked is the only transfer coding that is known"),
        Refusal.ChunkedNotLast => (400, "the last transfer coding is not chunked, so the body has no end"),
        Refusal.ChunkedRepeated => (400, "chunked is named more than once"),
        Refusal.LengthRequired => (411, "an HTTP/1.0 request with this method needs a Content-Length"),
        Refusal.BodyTooLarge => (413, "the request body is larger than this server allows"),
        Refusal.ConnectNotAllowed => (405, "CONNECT is not allowed here"),
        Refusal.ExpectationUnknown => (417, "100-continue is the only expectation that is known"),
        Refusal.ChunkSizeMalformed => (400, "a chunk size is not a hexadecimal number followed by CRLF"),
        Refusal.ChunkSizeTooLarge => (400, "a chunk size is larger than 2^60"),
        Refusal.ChunkExtensionTooLong => (400, "chunk extensions are longer than this server allows"),
        Refusal.ChunkEndMissing => (400, "a chunk does not end with CRLF"),
        Refusal.TrailersTooLong => (400, "the trailers are longer than this server allows"),
        Refusal.TrailerMalformed => (400, "a trailer line is malformed"),
        Refusal.StatusLineMalformed => (502, "the status line is malformed"),
        Refusal.None => throw new ArgumentOutOfRangeException(nameof(refusal), "nothing was refused"),
        _ => throw new ArgumentOutOfRangeException(nameof(refusal), refusal, "this refusal has no text"),
    };
}
