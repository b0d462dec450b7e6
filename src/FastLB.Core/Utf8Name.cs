using System.Text;

namespace FastLB.Core;

/// <summary>
/// A name of the configuration that is looked for in requests: as text for people and, made once, as the bytes that it is compared with. Equal to another
/// of the same text. The default value is the empty name.
/// </summary>
public readonly struct Utf8Name : IEquatable<Utf8Name>
{
    private readonly string? _text;
    private readonly byte[]? _bytes;

    private Utf8Name(string text)
    {
        _text = text;
        _bytes = Encoding.UTF8.GetBytes(text);
    }

    public ReadOnlySpan<byte> Bytes => _bytes;

    public bool IsEmpty => _bytes is null or [];

    public static implicit operator Utf8Name(string? text) => string.IsNullOrEmpty(text) ? default : new Utf8Name(text);

    public static implicit operator string(Utf8Name name) => name.ToString();

    public static bool operator ==(Utf8Name left, Utf8Name right) => left.Equals(right);

    public static bool operator !=(Utf8Name left, Utf8Name right) => !left.Equals(right);

    public bool Equals(Utf8Name other) => ToString() == other.ToString();

    public override bool Equals(object? obj) => obj is Utf8Name other && Equals(other);

    public override int GetHashCode() => ToString().GetHashCode(StringComparison.Ordinal);

    public override string ToString() => _text ?? "";
}
