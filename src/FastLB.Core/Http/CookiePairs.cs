namespace FastLB.Core.Http;

/// <summary>
/// Goes through the pairs of a Cookie header value (RFC 6265 4.2.1), separated by semicolons with optional blanks. Empty pieces
/// are passed over; a piece without '=' is a pair whose name is empty.
/// </summary>
public ref struct CookiePairs(ReadOnlySpan<byte> value)
{
    private ReadOnlySpan<byte> _rest = value;
    private CookiePair _current;

    public readonly CookiePair Current => _current;

    public readonly CookiePairs GetEnumerator() => this;

    public bool MoveNext()
    {
        while (!_rest.IsEmpty)
        {
            var semicolon = _rest.IndexOf((byte)';');
            var piece = (semicolon < 0 ? _rest : _rest[..semicolon]).Trim(" \t"u8);
            _rest = semicolon < 0 ? default : _rest[(semicolon + 1)..];
            if (!piece.IsEmpty)
            {
                _current = new CookiePair(piece);
                return true;
            }
        }

        return false;
    }
}

/// <summary>One <c>name=value</c> of a Cookie header.</summary>
public readonly ref struct CookiePair
{
    private readonly int _equals;

    public CookiePair(ReadOnlySpan<byte> text)
    {
        Text = text;
        _equals = text.IndexOf((byte)'=');
    }

    public ReadOnlySpan<byte> Text { get; }

    public ReadOnlySpan<byte> Name => _equals < 0 ? default : Text[.._equals].TrimEnd(" \t"u8);

    public ReadOnlySpan<byte> Value => _equals < 0 ? Text : Text[(_equals + 1)..].TrimStart(" \t"u8);
}
