using System.Text;
using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Routing;

/// <summary>
/// A rule, compiled: what has to hold besides host and path, and what becomes of the request. Immutable but for its switch. One loop's
/// where it has regular expressions.
/// </summary>
public sealed class Route
{
    private static readonly Dictionary<string, RequestMethod> s_methods = Enum.GetValues<RequestMethod>()
        .Where(m => m != RequestMethod.Other)
        .ToDictionary(m => m.ToString().ToUpperInvariant());

    private readonly FieldMatcher[] _fields;
    private readonly RequestPattern? _pattern;
    private readonly uint _methods;
    private readonly byte[][] _otherMethods;
    private readonly RouteSwitch? _switch;

    internal Route(RouteRule rule, int number, RouteSwitches switches)
    {
        Rule = rule;
        Number = number;
        _fields = [.. rule.Fields.Select(f => new FieldMatcher(f))];
        _pattern = rule.PathRegex is null ? null : new RequestPattern(rule.PathRegex);
        _switch = rule.Name is null ? null : switches.Of(rule.Name);
        NameBytes = Encoding.ASCII.GetBytes(rule.Name ?? "");
        PoolNameBytes = Encoding.ASCII.GetBytes(rule.PoolName);
        HasMore = rule.HasMore;
        var known = rule.Methods.Select(m => s_methods.GetValueOrDefault(m)).ToArray();
        foreach (var method in known.Where(m => m != RequestMethod.Other))
        {
            _methods |= 1u << (int)method;
        }

        _otherMethods = [.. rule.Methods.Where((_, i) => known[i] == RequestMethod.Other).Select(Encoding.ASCII.GetBytes)];
        Redirect = rule.Redirect is { } redirect ? TextTemplate.Of(redirect.To, TextTemplate.OfRedirect) : null;
        OwnAnswer = rule.Redirect is { } to ? new ErrorResponse(to.Status, "the address is in Location") : MakeAnswer(rule.Answer);
        MaintenanceAnswer = MakeAnswer(rule.Maintenance?.Answer ?? (rule.Name is null ? null : DefaultMaintenance));
        RequestChanges = rule.RequestHeaders is { } request ? new HeaderChanges(request, TextTemplate.OfRequest) : null;
        ResponseChanges = rule.ResponseHeaders is { } response ? new HeaderChanges(response, TextTemplate.OfResponse) : null;
        Rewrite = rule.Rewrite is { } rewrite ? new PathRewrite(rewrite) : null;
    }

    /// <summary>What a route that is closed answers unless it says otherwise.</summary>
    public static AnswerSettings DefaultMaintenance { get; } = new()
    {
        Status = 503,
        Body = "503 Service Unavailable: this is closed for maintenance.\n"u8.ToArray(),
        Headers = [new HeaderValue("Retry-After", "60")],
    };

    public RouteRule Rule { get; }

    /// <summary>Its place in the table, from 0.</summary>
    public int Number { get; }

    /// <summary>Whether it is closed now.</summary>
    public bool IsInMaintenance => _switch?.Word switch
    {
        MaintenanceWord.On => true,
        MaintenanceWord.Off => false,
        _ => Rule.Maintenance is { IsOn: true },
    };

    internal byte[] NameBytes { get; }

    internal byte[] PoolNameBytes { get; }

    /// <summary>Whether <see cref="Holds"/> has to be asked.</summary>
    internal bool HasMore { get; }

    /// <summary>The answer of a redirect, without its Location, or the one that is always the same; null where a pool answers.</summary>
    internal ErrorResponse? OwnAnswer { get; }

    /// <summary>Null where nobody can close the route.</summary>
    internal ErrorResponse? MaintenanceAnswer { get; }

    /// <summary>The Location; null for what is no redirect.</summary>
    internal TextTemplate? Redirect { get; }

    internal HeaderChanges? RequestChanges { get; }

    internal HeaderChanges? ResponseChanges { get; }

    internal PathRewrite? Rewrite { get; }

    /// <summary>Whether the head that goes to the worker is another one because of the route.</summary>
    internal bool ChangesRequest => RequestChanges is not null || Rewrite is not null;

    /// <summary>The conditions besides host and path.</summary>
    /// <param name="source">The head's bytes.</param>
    /// <param name="head">Where things stand in them.</param>
    /// <param name="path">The reading of the path that is looked up.</param>
    /// <param name="query">What follows the '?'.</param>
    internal bool Holds(ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> path, ReadOnlySpan<byte> query)
    {
        if (Rule.Methods.Count > 0 && (_methods & (1u << (int)head.Method)) == 0 && !IsOtherMethod(source.Slice(head.MethodStart, head.MethodLength)))
        {
            return false;
        }

        foreach (var field in _fields)
        {
            if (!field.Holds(source, head, query))
            {
                return false;
            }
        }

        return _pattern is null || _pattern.IsIn(path);
    }

    private bool IsOtherMethod(ReadOnlySpan<byte> method)
    {
        foreach (var other in _otherMethods)
        {
            if (method.SequenceEqual(other))
            {
                return true;
            }
        }

        return false;
    }

    private static ErrorResponse? MakeAnswer(AnswerSettings? answer) => answer is null
        ? null
        : ErrorResponse.Static(answer.Status, answer.ContentType, [.. answer.Body], string.Concat(answer.Headers.Select(h => $"{h.Name}: {h.Template}\r\n")));
}
