using System.Diagnostics.CodeAnalysis;
using FastLB.Core.Balancing;

namespace FastLB.Configuration;

/// <summary>
/// What of a request something goes by, as people write it: <c>client-address</c>, <c>path</c>, <c>header:X-User</c>, <c>cookie:sid</c> or
/// <c>query:id</c>. The same words in the file, on the command line and in the admin API.
/// </summary>
internal static class KeyText
{
    public const string Expected = "client-address, path, header:NAME, cookie:NAME or query:NAME";

    private const int MaxNameBytes = 64;

    private static readonly string[] Words = ["client-address", "path", "header:", "cookie:", "query:"];

    public static bool TryParse(string text, out KeySource source, out string name, [NotNullWhen(false)] out string? problem)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        name = colon < 0 ? "" : text[(colon + 1)..];
        (source, problem) = (colon < 0 ? text : text[..(colon + 1)]) switch
        {
            "client-address" => (KeySource.ClientAddress, null),
            "path" => (KeySource.Path, null),
            "header:" => (KeySource.Header, ProblemOf("header", name)),
            "cookie:" => (KeySource.Cookie, CookieName.ProblemOf(name)),
            "query:" => (KeySource.Query, ProblemOf("query parameter", name)),
            var unknown => (KeySource.ClientAddress, Unknown(text, unknown)),
        };
        return problem is null;
    }

    /// <summary>The text of which <see cref="TryParse"/> makes the same.</summary>
    public static string Of(KeySource source, string name) => source switch
    {
        KeySource.ClientAddress => "client-address",
        KeySource.Path => "path",
        KeySource.Header => $"header:{name}",
        KeySource.Cookie => $"cookie:{name}",
        _ => $"query:{name}",
    };

    private static string Unknown(string text, string word)
    {
        var hint = NearestWord.Of(word, Words) is { } nearest ? $"; did you mean '{nearest}'?" : "";
        return $"'{text}' is nothing that a request has; write {Expected}{hint}";
    }

    private static string? ProblemOf(string what, string name) =>
        name.Length is 0 or > MaxNameBytes || name.AsSpan().ContainsAnyExcept(CookieName.TokenCharacters)
            ? $"'{name}' is not the name of a {what}; it has 1 to {MaxNameBytes} letters, digits and dashes"
            : null;
}
