namespace FastLB.Core.Http;

/// <summary>The headers that the proxy acts on. Everything else is <see cref="Other"/> and is copied as it came.</summary>
public enum HeaderId : byte
{
    Other,
    Host,
    Connection,
    ContentLength,
    TransferEncoding,
    Upgrade,
    Expect,
    Cookie,
    KeepAlive,
    ProxyConnection,
    ProxyAuthorization,
    Te,
    Trailer,

    /// <summary>Any X-Forwarded-* header, also spelled with underscores, which many application servers read as dashes.</summary>
    XForwarded,

    /// <summary>RFC 7239.</summary>
    Forwarded,
}

/// <summary>Where a header line stands in its head, in bytes from the head's first byte. The line ends with CRLF after the value (and blanks).</summary>
public readonly record struct HeaderLine(ushort NameStart, ushort NameLength, ushort ValueStart, ushort ValueLength, ushort LineEnd, HeaderId Id);

public enum HttpVersion : byte
{
    Http10,
    Http11,
}

/// <summary>
/// What a parser found in a head: offsets into the bytes that it was given, valid as long as those bytes stand still. One per loop
/// and direction, used again for every message; it copies nothing.
/// </summary>
public sealed class MessageHead
{
    /// <summary>The most header lines that a limit may allow.</summary>
    public const int MaxHeaders = 256;

    private readonly HeaderLine[] _headers = new HeaderLine[MaxHeaders];

    public HttpVersion Version { get; internal set; }

    /// <summary>Bytes of the whole head with its blank line; the body starts there.</summary>
    public int Length { get; internal set; }

    /// <summary>Where the first header line starts (the start line ends there).</summary>
    public int HeadersStart { get; internal set; }

    public int HeaderCount { get; internal set; }

    public ReadOnlySpan<HeaderLine> Headers => _headers.AsSpan(0, HeaderCount);

    // Of a request.
    public int MethodStart { get; internal set; }

    public int MethodLength { get; internal set; }

    public RequestMethod Method { get; internal set; }

    public int TargetStart { get; internal set; }

    public int TargetLength { get; internal set; }

    // Of a response.
    public int StatusCode { get; internal set; }

    public int ReasonStart { get; internal set; }

    public int ReasonLength { get; internal set; }

    /// <summary>One bit per <see cref="HeaderId"/> that occurs, so that the usual "is there any" costs one test.</summary>
    public uint Present { get; internal set; }

    public bool Has(HeaderId id) => (Present & (1u << (int)id)) != 0;

    internal void Clear()
    {
        HeaderCount = 0;
        Present = 0;
        Length = 0;
        StatusCode = 0;
        Method = RequestMethod.Other;
    }

    internal void Add(in HeaderLine line)
    {
        _headers[HeaderCount++] = line;
        Present |= 1u << (int)line.Id;
    }
}

/// <summary>Methods that the proxy treats differently; all others pass through as <see cref="Other"/>.</summary>
public enum RequestMethod : byte
{
    Other,
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Trace,
    Patch,
    Connect,
}
