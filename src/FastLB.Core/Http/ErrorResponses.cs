using System.Text;

namespace FastLB.Core.Http;

/// <summary>
/// An answer of the balancer's own, made once at start: a plain body of one sentence that says what was wrong, in the four
/// shapes that are needed (with and without a body, closing and staying).
/// </summary>
public sealed class ErrorResponse : IEquatable<ErrorResponse>
{
    internal ErrorResponse(int status, string sentence, string extraHeaders = "")
        : this(status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes($"{status} {ReasonPhrase(status)}: {sentence}.\n"), extraHeaders)
    {
    }

    private ErrorResponse(int status, string contentType, byte[] body, string extraHeaders)
    {
        Status = status;
        var about = status is 204 or 304 ? "" : $"Content-Type: {contentType}\r\nContent-Length: {body.Length}\r\n";
        body = status is 204 or 304 ? [] : body;
        var head = $"HTTP/1.1 {status} {ReasonPhrase(status)}\r\n{about}{extraHeaders}";
        _closing = [.. Encoding.ASCII.GetBytes($"{head}Connection: close\r\n\r\n"), .. body];
        _staying = [.. Encoding.ASCII.GetBytes($"{head}\r\n"), .. body];
        _stayingHttp10 = [.. Encoding.ASCII.GetBytes($"{head}Connection: keep-alive\r\n\r\n"), .. body];
        _bodyLength = body.Length;
        StatusLineLength = _staying.AsSpan().IndexOf("\r\n"u8) + 2;
    }

    /// <summary>An answer that a person has written. With a 503 clients are told to come back.</summary>
    /// <param name="status">200 to 599.</param>
    /// <param name="contentType">Printable ASCII.</param>
    /// <param name="body">At most what a buffer holds beside a head.</param>
    public static ErrorResponse Static(int status, string contentType, byte[] body) =>
        new(status, contentType, body, status == 503 ? "Retry-After: 1\r\n" : "");

    /// <summary>An answer that a person has written, with header lines of theirs.</summary>
    /// <param name="status">200 to 599.</param>
    /// <param name="contentType">Printable ASCII.</param>
    /// <param name="body">At most what a buffer holds beside a head; none where the status has none (RFC 9110 15.3.5, 15.4.5).</param>
    /// <param name="lines">Whole lines with their CRLF, none of them about framing or the connection.</param>
    internal static ErrorResponse Static(int status, string contentType, byte[] body, string lines) => new(status, contentType, body, lines);

    private readonly byte[] _closing;
    private readonly byte[] _staying;
    private readonly byte[] _stayingHttp10;
    private readonly int _bodyLength;

    public int Status { get; }

    /// <summary>Bytes of the first line with its CRLF; other header lines may be put in there.</summary>
    internal int StatusLineLength { get; }

    /// <summary>The bytes to send. HEAD gets the head alone (RFC 9110 9.3.2).</summary>
    public ReadOnlySpan<byte> Bytes(bool close, bool headOnly, HttpVersion clientVersion)
    {
        var bytes = close ? _closing : clientVersion == HttpVersion.Http10 ? _stayingHttp10 : _staying;
        return headOnly ? bytes.AsSpan(0, bytes.Length - _bodyLength) : bytes;
    }

    public bool Equals(ErrorResponse? other) => other is not null && _staying.AsSpan().SequenceEqual(other._staying);

    public override bool Equals(object? obj) => Equals(obj as ErrorResponse);

    public override int GetHashCode() => HashCode.Combine(Status, _staying.Length);

    private static string ReasonPhrase(int status) => status switch
    {
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        406 => "Not Acceptable",
        409 => "Conflict",
        410 => "Gone",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        200 => "OK",
        _ => "",
    };
}

/// <summary>Every answer that the balancer makes itself.</summary>
public static class ErrorResponses
{
    private static readonly ErrorResponse[] s_refusals = Enum.GetValues<Refusal>()
        .Select(r => r == Refusal.None ? null! : Make(r))
        .ToArray();

    public static ErrorResponse HeadTimeout { get; } = new(408, "the request head did not arrive in time");

    public static ErrorResponse BodyTimeout { get; } = new(408, "the request body stopped arriving");

    public static ErrorResponse NoRoute { get; } = new(404, "no route matches this host and path");

    public static ErrorResponse PathAmbiguous { get; } = new(400, "the path can be read in several ways that lead to different places");

    public static ErrorResponse NoWorker { get; } = new(503, "no worker took the request in time", "Retry-After: 1\r\n");

    public static ErrorResponse QueueFull { get; } = new(503, "too many requests wait for a worker", "Retry-After: 1\r\n");

    public static ErrorResponse TooManyConnections { get; } = new(503, "there are as many connections as may be", "Retry-After: 1\r\n");

    public static ErrorResponse TooManyConnectionsOfClient { get; } = new(429, "there are as many connections of this client as may be", "Retry-After: 1\r\n");

    public static ErrorResponse RateLimited { get; } = new(429, "too many requests of this client");

    public static ErrorResponse BreakerOpen { get; } = new(503, "the workers fail too often at present", "Retry-After: 1\r\n");

    public static ErrorResponse OutOfMemory { get; } = new(503, "the balancer has no buffer left", "Retry-After: 1\r\n");

    public static ErrorResponse ConnectFailed { get; } = new(502, "no worker accepted the connection");

    public static ErrorResponse WorkerClosed { get; } = new(502, "the worker closed the connection without an answer");

    public static ErrorResponse BadAnswer { get; } = new(502, "the worker's answer was malformed");

    public static ErrorResponse ConnectTimeout { get; } = new(504, "no worker accepted the connection in time");

    public static ErrorResponse ResponseTimeout { get; } = new(504, "the worker did not answer in time");

    public static ErrorResponse Of(Refusal refusal) => s_refusals[(int)refusal];

    private static ErrorResponse Make(Refusal refusal)
    {
        var (status, sentence) = RefusalText.Of(refusal);
        var allow = status == 405 ? "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n" : "";
        return new ErrorResponse(status, sentence, allow);
    }
}
