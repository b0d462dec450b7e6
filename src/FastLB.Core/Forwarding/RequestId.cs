using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>
/// What a request is called in logs and traces, here, at its worker and at its client (X-Request-Id): 1 to 128 token characters. Empty for a request
/// that has none. It is held in place, so a request that is given one allocates nothing.
/// </summary>
public struct RequestId
{
    /// <summary>The most bytes that an id may have.</summary>
    public const int MaxBytes = 128;

    /// <summary>Bytes of an id that is made here.</summary>
    public const int MadeBytes = 32;

    private Text _text;
    private byte _length;

    public readonly bool IsEmpty => _length == 0;

    /// <summary>The id as it stands in the header. Valid as long as the id stays where it is.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<byte> Bytes => ((ReadOnlySpan<byte>)_text)[.._length];

    /// <summary>Takes over an id that somebody else gave. False, and nothing changes, for what is no id.</summary>
    public bool TryAccept(ReadOnlySpan<byte> text)
    {
        if (text.Length is 0 or > MaxBytes || text.ContainsAnyExcept(TokenText.Characters))
        {
            return false;
        }

        text.CopyTo(_text);
        _length = (byte)text.Length;
        return true;
    }

    /// <summary>128 bits of the loop's random numbers in hexadecimal. Unique enough to find a request by; not a secret.</summary>
    public void Make(RandomSource random)
    {
        TokenText.WriteHex(random.NextUInt64(), _text);
        TokenText.WriteHex(random.NextUInt64(), ((Span<byte>)_text)[16..]);
        _length = MadeBytes;
    }

    public void Clear() => _length = 0;

    public override readonly string ToString() => System.Text.Encoding.ASCII.GetString(Bytes);

    [InlineArray(MaxBytes)]
    private struct Text
    {
        private byte _first;
    }
}
