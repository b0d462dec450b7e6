using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace FastLB.Core.Http;

/// <summary>What a template may name of a request. The spans are those of the request at hand.</summary>
internal readonly ref struct TemplateValues
{
    public ReadOnlySpan<byte> ClientAddress { get; init; }

    public int ClientPort { get; init; }

    /// <summary>As the client sent it, without its port.</summary>
    public ReadOnlySpan<byte> Host { get; init; }

    /// <summary>As the client sent it, without the query.</summary>
    public ReadOnlySpan<byte> Path { get; init; }

    /// <summary>With its '?'; empty without one.</summary>
    public ReadOnlySpan<byte> Query { get; init; }

    public ReadOnlySpan<byte> Method { get; init; }

    public ReadOnlySpan<byte> Worker { get; init; }

    public ReadOnlySpan<byte> Pool { get; init; }

    public ReadOnlySpan<byte> Route { get; init; }

    public ReadOnlySpan<byte> RequestId { get; init; }
}

/// <summary>
/// A header's value with names in braces that stand for something of the request: <c>{client.address}</c>. A brace that no small letter
/// follows is a brace, and so is <c>{{</c>. Compiled once, immutable; writing it allocates nothing.
/// </summary>
public sealed class TextTemplate
{
    /// <summary>What a redirect may name.</summary>
    public static readonly IReadOnlyList<string> OfRedirect = ["host", "path", "query"];

    /// <summary>What a header towards a worker may name; the worker is not chosen yet when it is written.</summary>
    public static readonly IReadOnlyList<string> OfRequest =
        ["client.address", "client.port", "host", "path", "query", "method", "pool", "route", "request.id"];

    /// <summary>What a header towards a client may name.</summary>
    public static readonly IReadOnlyList<string> OfResponse = [.. OfRequest, "worker"];

    private readonly Part[] _parts;

    private TextTemplate(Part[] parts) => _parts = parts;

    /// <summary>Whether it names what has to be kept of the request until it is answered.</summary>
    internal bool NamesRequest => Array.Exists(_parts, p => p.Name is "host" or "path" or "query" or "method");

    /// <summary>Compiles a text, or says which name in it is not known.</summary>
    /// <param name="text">Printable ASCII and blanks.</param>
    /// <param name="allowed">The names that mean something in this place.</param>
    /// <param name="template">The template.</param>
    /// <param name="unknownName">The first name that is not allowed; empty when its brace is never closed.</param>
    public static bool TryParse(
        string text, IReadOnlyList<string> allowed, [NotNullWhen(true)] out TextTemplate? template, [NotNullWhen(false)] out string? unknownName)
    {
        var parts = new List<Part>();
        var literal = new StringBuilder();
        template = null;
        unknownName = null;
        for (var i = 0; i < text.Length; i++)
        {
            var next = i + 1 < text.Length ? text[i + 1] : ' ';
            if (text[i] != '{' || !(next == '{' || char.IsAsciiLetterLower(next)))
            {
                literal.Append(text[i]);
                continue;
            }

            if (next == '{')
            {
                literal.Append(text[i++]);
                continue;
            }

            var close = text.IndexOf('}', i);
            var name = close < 0 ? "" : text[(i + 1)..close];
            if (!allowed.Contains(name))
            {
                unknownName = name;
                return false;
            }

            Take(literal, parts);
            parts.Add(new Part(name, []));
            i = close;
        }

        Take(literal, parts);
        template = new TextTemplate([.. parts]);
        return true;
    }

    /// <summary>One that is known to be right, because a configuration was read.</summary>
    internal static TextTemplate Of(string text, IReadOnlyList<string> allowed) =>
        TryParse(text, allowed, out var template, out var unknown)
            ? template
            : throw new ArgumentException($"the template '{text}' names '{unknown}', which is not known here", nameof(text));

    /// <summary>Writes the value.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="values">What the names stand for.</param>
    /// <param name="isUri">Whether what comes from the client is percent-encoded where a URI needs that.</param>
    internal void Write(ref HeadWriter writer, scoped in TemplateValues values, bool isUri = false)
    {
        foreach (var part in _parts)
        {
            if (part.Name.Length == 0)
            {
                writer.Write(part.Literal);
            }
            else if (part.Name == "client.port")
            {
                writer.WriteNumber(values.ClientPort);
            }
            else if (isUri)
            {
                PercentCoding.Write(ValueOf(part.Name, values), ref writer);
            }
            else
            {
                writer.Write(ValueOf(part.Name, values));
            }
        }
    }

    private static ReadOnlySpan<byte> ValueOf(string name, in TemplateValues values) => name switch
    {
        "client.address" => values.ClientAddress,
        "host" => values.Host,
        "path" => values.Path,
        "query" => values.Query,
        "method" => values.Method,
        "worker" => values.Worker,
        "pool" => values.Pool,
        "route" => values.Route,
        _ => values.RequestId,
    };

    private static void Take(StringBuilder literal, List<Part> parts)
    {
        if (literal.Length > 0)
        {
            parts.Add(new Part("", Encoding.ASCII.GetBytes(literal.ToString())));
            literal.Clear();
        }
    }

    /// <param name="Name">What it stands for; empty for a literal.</param>
    /// <param name="Literal">The literal's bytes.</param>
    private readonly record struct Part(string Name, byte[] Literal);
}
