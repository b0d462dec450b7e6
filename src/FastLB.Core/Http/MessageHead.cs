using FastLB.Core.Loop;

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

    /// <summary>A line that somebody has taken out of the head after it was parsed, because another one goes on in its place. No name is this.</summary>
    Superseded,
}

/// <summary>
/// Where a header line stands in its head, in bytes from the message's first byte. The value is without the blanks around it.
/// LineEnd is the first byte after the line's CRLF, so the whole line is the bytes from NameStart to LineEnd.
/// </summary>
public readonly record struct HeaderLine(ushort NameStart, ushort NameLength, ushort ValueStart, ushort ValueLength, ushort LineEnd, HeaderId Id);

public enum HttpVersion : byte
{
    Http10,
    Http11,
}

/// <summary>
/// What a parser found in a head: offsets into the bytes that it was given, valid as long as those bytes stand still. One per loop
/// and direction, used again for every message; it copies nothing. It is filled when the parser answers Done; after any other
/// answer nothing in it means anything.
/// </summary>
public sealed class MessageHead
{
    /// <summary>The largest head that a limit may allow, in bytes: offsets in it are 16 bits wide.</summary>
    public const int MaxBytes = 60 * 1024;

    /// <summary>The most header lines that a limit may allow.</summary>
    public const int MaxHeaders = 256;

    private readonly HeaderLine[] _headers = new HeaderLine[MaxHeaders];
    private readonly byte[] _firstOf = new byte[(int)HeaderId.Forwarded + 1];

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

    /// <summary>One bit per <see cref="HeaderId"/> that occurs more than once.</summary>
    public uint Repeated { get; internal set; }

    /// <summary>Whether what the head says of earlier hops comes from a proxy that is trusted. Otherwise whoever asks about it is told that it is not there.</summary>
    public bool TrustsForwarding { get; internal set; }

    public bool Has(HeaderId id) => (Present & (1u << (int)id)) != 0;

    /// <summary>Whether more than one header line has this id.</summary>
    public bool Repeats(HeaderId id) => (Repeated & (1u << (int)id)) != 0;

    /// <summary>The first header line with this id, which has to occur (<see cref="Has"/>).</summary>
    public ref readonly HeaderLine First(HeaderId id)
    {
        Invariant.That(id != HeaderId.Other && Has(id), "a header that is asked for occurs in the head");
        return ref _headers[_firstOf[(int)id]];
    }

    /// <summary>The line with this place does not go on.</summary>
    internal void Supersede(int index)
    {
        Invariant.That((uint)index < (uint)HeaderCount, "a line that is taken out is there");
        _headers[index] = _headers[index] with { Id = HeaderId.Superseded };
        Present |= 1u << (int)HeaderId.Superseded;
    }

    /// <summary>Room for header lines; the parser fills it and then tells <see cref="HeaderCount"/>.</summary>
    internal Span<HeaderLine> Room => _headers;

    /// <summary>Per <see cref="HeaderId"/> the index of its first line; stale where <see cref="Present"/> has no bit.</summary>
    internal Span<byte> FirstOf => _firstOf;
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
