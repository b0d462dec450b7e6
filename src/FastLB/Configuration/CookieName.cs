using System.Buffers;

namespace FastLB.Configuration;

/// <summary>The syntax of cookie names: a token (RFC 6265 4.1.1, RFC 9110 5.6.2), here of at most 64 bytes.</summary>
internal static class CookieName
{
    public const int MaxBytes = 64;

    /// <summary>What a token is made of; names of headers are tokens, too.</summary>
    public static readonly SearchValues<char> TokenCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    /// <summary>A clause that says what is wrong with the name, or null.</summary>
    public static string? ProblemOf(string name) =>
        name.Length == 0 ? "a cookie name cannot be empty"
        : name.Length > MaxBytes ? $"a cookie name has at most {MaxBytes} characters here, this one {name.Length}"
        : name.AsSpan().IndexOfAnyExcept(TokenCharacters) is var at and >= 0
            ? $"'{name}' is no cookie name; the character '{name[at]}' is not allowed there (RFC 6265)"
        : null;
}
