using System.Security.Cryptography;
using System.Text;

namespace FastLB.Admin;

/// <summary>
/// The bearer token (RFC 6750) that the admin API asks for. Compared by hashes, so that two of different length take the same time as well; what is
/// printed of it never shows it.
/// </summary>
public sealed class AdminToken : IEquatable<AdminToken>
{
    public const int MinLength = 16;
    public const int MaxLength = 512;

    private readonly byte[] _hash;

    private AdminToken(string text)
    {
        Text = text;
        _hash = HashOf(text);
    }

    /// <summary>For who has to show it.</summary>
    internal string Text { get; }

    /// <summary>Makes one of at least 16 letters, digits and <c>-._~+/=</c>; otherwise a clause says what is wrong.</summary>
    public static bool TryMake(string text, out AdminToken? token, out string problem)
    {
        problem = text.Length is < MinLength or > MaxLength ? $"a token has {MinLength} to {MaxLength} characters, found {text.Length}; 'openssl rand -hex 24' makes one"
            : !text.All(c => char.IsAsciiLetterOrDigit(c) || "-._~+/=".Contains(c, StringComparison.Ordinal)) ? "a token consists of letters, digits and -._~+/=; 'openssl rand -hex 24' makes one"
            : "";
        token = problem.Length == 0 ? new AdminToken(text) : null;
        return token is not null;
    }

    /// <summary>Whether this is the token. Takes the same time whatever is wrong with it.</summary>
    public bool Is(string text) => CryptographicOperations.FixedTimeEquals(_hash, HashOf(text));

    public bool Equals(AdminToken? other) => other is not null && CryptographicOperations.FixedTimeEquals(_hash, other._hash);

    public override bool Equals(object? obj) => Equals(obj as AdminToken);

    public override int GetHashCode() => BitConverter.ToInt32(_hash);

    public override string ToString() => "a token";

    private static byte[] HashOf(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));
}
